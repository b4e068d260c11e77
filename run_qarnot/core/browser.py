"""Opens an address that holds a secret in the user's browser.

A browser is started with the address as an argument, and every user of the machine can read the arguments of every
process (`ps`). As in Jupyter, the browser therefore gets the path of a private file that redirects to the address.
"""

from __future__ import annotations

import atexit
import html
import shutil
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

_SECONDS = 60.0  # how long the file is kept: a browser may take long to start
_SANDBOXES = ("/snap", "/var/lib/flatpak")


def open_privately(address: str) -> bool:
    """Open `address` in the browser without showing it in the list of processes. Blocks while a browser starts.

    Returns:
        Whether a browser was started.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="run-qarnot-", dir=_parent()))  # readable by this user alone
        _remove_later(folder)
        file = folder / "open.html"
        file.touch(mode=0o600)
        file.write_text(redirect_page(address), encoding="utf-8")
    except OSError:  # such as a full disk; the caller prints the address too
        return False
    return webbrowser.open(file.as_uri())


def redirect_page(address: str) -> str:
    """Return a page in one line that redirects to `address`."""
    link, name = html.escape(address), html.escape(urlsplit(address).netloc)
    head = '<!DOCTYPE html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
    return f'{head}<meta http-equiv="refresh" content="0;url={link}"><a href="{link}">{name}</a>\n'


def _remove_later(folder: Path) -> None:
    def remove() -> None:
        timer.cancel()
        atexit.unregister(remove)
        shutil.rmtree(folder, ignore_errors=True)

    timer = threading.Timer(_SECONDS, remove)
    timer.daemon = True
    timer.start()
    atexit.register(remove)


def _parent() -> Path | None:
    """Return the folder where the browser can read the file; None for the default folder of temporary files.

    A browser in a sandbox (Firefox on Ubuntu is a snap) has another `/tmp`, and cannot read hidden files of the home.
    """
    if sys.platform != "linux" or not any(Path(path).is_dir() for path in _SANDBOXES):
        return None
    home = Path.home()
    return next((folder for folder in (home / "Downloads", home) if folder.is_dir()), None)
