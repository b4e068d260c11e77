"""Commands about the catalog: `images`, `check`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from run_qarnot.commands import show
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.settings import Settings


def images(settings: Settings, *, as_json: bool) -> int:
    """Print the catalog."""
    catalog = find_plugins(settings).catalog()
    if as_json:
        show.out_json([image.model_dump(mode="json") | {"source": image.source} for image in catalog])
    else:
        offered = [image for image in catalog if not image.hidden]
        show.table(("ID", "TITLE", "SUMMARY", "BY"), [(i.id, i.name, i.summary, i.source) for i in offered])
    for problem in catalog.problems:
        show.err(f"problem: {problem}")
    return 0


def check(settings: Settings, path: Path | None, *, as_json: bool) -> int:
    """Print what is wrong with the catalog and the plugins; 1 if anything is."""
    if path is not None:
        settings = replace(settings, images=path)
    catalog = find_plugins(settings).catalog()
    if as_json:
        show.out_json([asdict(problem) for problem in catalog.problems])
    else:
        for problem in catalog.problems:
            show.out(str(problem))
        show.err(f"{len(catalog.images)} images, {len(catalog.problems)} problems")
    return 1 if catalog.problems else 0
