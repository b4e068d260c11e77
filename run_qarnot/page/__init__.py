"""The page: `build.build` for the notebook, `server.serve` for our own server, and an extension for a Jupyter Server.

Modules are imported where they are needed: the kernel needs no server, and the server no widgets.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "run_qarnot.page"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from run_qarnot.page import extension

    extension.load(server)
