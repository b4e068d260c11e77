"""Helpers for tests, as ordinary modules."""
