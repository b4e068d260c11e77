"""The commands `run-qarnot …`. `table` lists them, `parser` parses them, and the other modules run them."""
