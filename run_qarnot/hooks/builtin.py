"""Our own features as a plugin: if they fit through the hooks, so does yours."""

from __future__ import annotations

from run_qarnot.catalog.reader import Reading, read_file
from run_qarnot.hooks.spec import hookimpl
from run_qarnot.model.settings import Settings


@hookimpl
def rq_images(settings: Settings) -> Reading:
    """The images of `images.toml`."""
    return read_file(settings.images)
