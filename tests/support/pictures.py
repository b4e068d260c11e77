"""Pictures of what a test sees, for people to look at: `PICTURES=folder make test-browser` keeps them there."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page

VARIABLE = "PICTURES"


def take_picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Keep a picture of a page, if somebody wants them.

    Arguments:
        page: as it is now.
        name: of the file, without its ending.
        whole: of the whole page, not only of what the window shows.
    """
    if folder := os.environ.get(VARIABLE):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, animations="disabled")
