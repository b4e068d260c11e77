"""Pages in tests, and what is done and seen on them."""
