"""The Chromium of this machine."""

from __future__ import annotations

import os
import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without the network flags it asks its maker's servers for things, which a test has no business doing.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Each new profile would make pages for popups of an address bar that a test does not have: a third of all that
    # showing ours takes. This stands in the place of Playwright's own list, of which pages of loopback need nothing.
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",
]


def chromium() -> str:
    """Return its path; `make test` says how to install one."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    assert found, "no Chromium on this machine: install it, or set CHROMIUM"
    return found
