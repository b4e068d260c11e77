"""The contract for plugins: read this first.

A plugin is a Python module with functions that carry the names below and the mark `@run_qarnot.hookimpl`. It is found
built in, as an installed package with the entry point group `run_qarnot`, or as a `*.py` file in the folder `plugins/`.

Each hook is called for one plugin at a time. One that raises, is misspelt or takes over five seconds is reported by
name and skipped; everything else goes on. A plugin never gets the Qarnot token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from run_qarnot.catalog.image import Image
    from run_qarnot.catalog.reader import Reading
    from run_qarnot.settings import Settings

PROJECT = "run_qarnot"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def rq_images(settings: Settings) -> Iterable[Image] | Mapping[str, Mapping[str, Any]] | Reading:
    """Bring images.

    Arguments:
        settings: where the cluster and the catalog are. The token is not in it.

    Returns:
        Images; or a mapping of id → keys, as in `images.toml`, which is checked in the same way.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
