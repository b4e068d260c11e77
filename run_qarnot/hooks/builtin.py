"""The images of `images.toml`, provided by a built-in plugin through the public hooks."""

from __future__ import annotations

from dataclasses import replace

from run_qarnot.catalog.reader import Reading, read_file
from run_qarnot.hooks.spec import hookimpl
from run_qarnot.model.settings import IMAGES_FILE, Settings, packaged_file

_SHIPPED = "Run Qarnot"  # the source of the shipped images, shown beside them when another file adds to them


@hookimpl
def rq_images(settings: Settings) -> list[Reading]:
    """Return the images of `images.toml`. If it adds to the shipped images, return these too, except for its own
    ids."""
    own = read_file(settings.images)
    if not own.adds:
        return [own]
    shipped = read_file(packaged_file(IMAGES_FILE), _SHIPPED)
    ids = {image.id for image in (*own.images, *own.broken)}
    return [own, replace(shipped, images=tuple(image for image in shipped.images if image.id not in ids))]
