"""Time and scripted trouble for tests."""
