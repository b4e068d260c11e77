"""The page in somebody else's Jupyter Server, such as Binder's: the same routes and options as in our own server."""

from __future__ import annotations

import atexit
import shutil
from typing import Any

from run_qarnot.page import download_route
from run_qarnot.page.options import voila_options


def configure(server: Any) -> None:
    """Set Voila's options, unless whoever runs the server has set them."""
    ours = {**voila_options(), "prelaunch_hook": set_xsrf_cookie}
    theirs = server.config.VoilaConfiguration
    for name, value in ours.items():
        if name not in theirs:
            theirs[name] = value


def load(server: Any) -> None:
    """Add the download route."""
    folder = download_route.make_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server.web_app.add_handlers(".*$", [download_route.route(server.web_app.settings["base_url"], folder)])


def set_xsrf_cookie(handler: Any, notebook: Any, cwd: str) -> None:
    """Without the cookie the page's farewell is refused, and each reload leaks a kernel (reference §3)."""
    _ = handler.xsrf_token  # reading it sets it
