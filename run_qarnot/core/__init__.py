"""Errors, states, messages, names and times; they need only the standard library."""
