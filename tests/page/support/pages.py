"""A page on a fake engine, and messages as a browser sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from page.support.fake_engine import FakeAccount
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.reader import read_entries
from run_qarnot.page import guard
from run_qarnot.page.app import Page
from run_qarnot.page.component import Component
from run_qarnot.page.downloads import Downloads
from run_qarnot.settings import Settings

ENTRIES: dict[str, dict[str, Any]] = {
    "base": {"title": "JupyterLab", "repo": "a/base"},
    "torch": {
        "title": "PyTorch",
        "repo": "a/torch",
        "hours": 2,
        "options": {
            "workers": {"label": "Workers", "type": "int", "min": 1, "max": 8, "default": 2, "constant": "WORKERS"},
            "secret": {"type": "secret", "constant": "SECRET"},
        },
    },
    "broken": {"titel": "x"},
    "old": {"repo": "a/old", "hidden": True},
}


def catalog() -> Catalog:
    reading = read_entries(ENTRIES, "images.toml")
    return Catalog({image.id: image for image in reading.images}, reading.problems)


def make_page(account: FakeAccount | None = None, *, token: str | None = None, downloads: Path | None = None) -> Page:
    """Make a page; must run on a loop."""
    guard.install()
    opener: Any = (account or FakeAccount()).open
    page = Page(Settings(token=token), catalog(), opener, Downloads(downloads))
    page.begin()
    return page


def tell(component: Component, name: str, data: object = None, *buffers: bytes) -> None:
    """Send an event as the browser does: through the guard."""
    component._handle_event(component, {"event": name, "data": data}, [memoryview(part) for part in buffers])


def record(component: Component) -> list[tuple[str, Any]]:
    """Collect what the component calls in the browser."""
    calls: list[tuple[str, Any]] = []
    component.send = lambda content, buffers=None: calls.append((content["method"], content["args"]))
    return calls


async def until(condition: Callable[[], object], what: str, seconds: float = 5) -> None:
    """Let the loop run until `condition` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"waited {seconds:g} seconds in vain for {what}"
        await asyncio.sleep(0.005)


async def end(page: Page) -> None:
    page.sessions.clear()
    page.tasks.cancel()
    page.uploads.close()
