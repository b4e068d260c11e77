"""Tests of the page without a browser; those in Chromium are in `tests/browser`."""
