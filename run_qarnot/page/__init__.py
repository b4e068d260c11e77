"""The page: `build()` for the notebook, `serve` for our own server, and an extension for a Jupyter Server.

Everything is imported where it is needed: the kernel wants no server, and the server no widgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import HTML

    from run_qarnot.page.components.shell import Shell


def build() -> Shell | HTML:
    """Build the page from the environment and the current folder. The notebook shows what this returns."""
    from run_qarnot.page import app

    return app.build()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "run_qarnot.page"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from run_qarnot.page import extension

    extension.load(server)
