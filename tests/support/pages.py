"""A page as the notebook makes it, with the real engine behind it; and messages as a browser sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ipywidgets.widgets import widget

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.hooks import Hooks, NoHooks
from run_qarnot.catalog.reader import read_entries
from run_qarnot.core.state import State
from run_qarnot.model.settings import Settings
from run_qarnot.page import guard
from run_qarnot.page.build import Page
from run_qarnot.page.component import Component
from run_qarnot.page.components.session import SessionCard
from run_qarnot.page.controllers.account import open_account
from run_qarnot.page.downloads import Downloads
from run_qarnot.page.viewmodel import FORM_FIELDS, SECRET_FIELDS
from support.waiting import until

# Commands, because they are there in a blink: what a page does with a session does not depend on what runs in it.
_BATCH = {"app": "batch", "profile": "docker-batch", "command": "sh -c 'eval \"$RUN_COMMAND\"'"}
ENTRIES: dict[str, dict[str, Any]] = {
    "base": _BATCH
    | {
        "title": "A command",
        "repo": "a/base",
        "options": {"command": {"default": "sleep 60", "constant": "RUN_COMMAND"}},
    },
    "torch": _BATCH
    | {
        "title": "PyTorch",
        "repo": "a/torch",
        "constants": {"RUN_COMMAND": "sleep 60"},
        "hours": 2,
        "options": {
            "workers": {
                "label": "DaemonExecutor",
                "type": "int",
                "min": 1,
                "max": 8,
                "default": 2,
                "constant": "WORKERS",
            },
            "secret": {"type": "secret", "constant": "SECRET"},
        },
    },
    "broken": {"titel": "x"},
    "old": {"repo": "a/old", "hidden": True},
}
NAME = "calm-heron-42"
FORM = dict.fromkeys((*FORM_FIELDS, *SECRET_FIELDS), "") | {"name": NAME, "hours": "4"}
NOWHERE = Settings(cluster_url="http://127.0.0.1:9")  # for pages without an account: nobody must be asked

Scene = Callable[[Page], Awaitable[None]]


def catalog() -> Catalog:
    reading = read_entries(ENTRIES, "images.toml")
    return Catalog({image.id: image for image in reading.images}, reading.problems)


def make_page(settings: Settings = NOWHERE, *, downloads: Path | None = None, hooks: Hooks | None = None) -> Page:
    """Make a page; must run on a loop."""
    guard.install()
    page = Page(settings, replace(catalog(), hooks=hooks or NoHooks()), open_account, Downloads(downloads))
    page.begin()
    return page


async def end(page: Page) -> None:
    """End a page as its kernel's end would.

    What is not closed stays among the widgets of the process for ever, and with it an account and all that it holds.
    """
    page.sessions.clear()
    page.tasks.cancel()
    page.uploads.close()
    if page.account.current is not None:
        await page.account.current.close()
    for made in list(widget._instances.values()):
        if isinstance(made, Component):
            made.close()


def play(scene: Scene, settings: Settings = NOWHERE, hooks: Hooks | None = None) -> None:
    """Play a scene on a page of its own."""

    async def whole() -> None:
        page = make_page(settings, hooks=hooks)
        try:
            await scene(page)
        finally:
            await end(page)

    asyncio.run(whole())


def play_with_account(scene: Scene, cluster: LocalCluster, hooks: Hooks | None = None) -> None:
    """Play a scene on a page that knows the cluster's account."""

    async def signed_in(page: Page) -> None:
        await sign_in(page, cluster.token)
        await scene(page)

    play(signed_in, settings_of(cluster), hooks)


def settings_of(cluster: LocalCluster, token: str | None = None) -> Settings:
    """Where the cluster is; with `token`, the operator's account."""
    return Settings(cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, token=token)


# — what a visitor does —


def tell(component: Component, name: str, data: object = None, *buffers: bytes) -> None:
    """Send an event as the browser does: through the guard."""
    component._handle_event(component, {"event": name, "data": data}, [memoryview(part) for part in buffers])


async def sign_in(page: Page, token: str) -> None:
    tell(page.account_card, "check", {"token": token})
    await until(lambda: page.account_card.state == "known", "the account")
    await until(lambda: not page.shell.finding, "the sessions")


def begin(component: Component, number: object, name: str, size: int) -> None:
    """Announce a file to a list of files."""
    tell(component, "begin", {"files": [{"id": number, "name": name, "size": size, "direct": False}]})


def upload(component: Component, number: int, name: str, data: bytes) -> None:
    """Bring a file to a list of files."""
    begin(component, number, name, len(data))
    if data:
        tell(component, "part", {"id": number, "offset": 0}, data)


async def start(page: Page, command: str, *, name: str = NAME, hours: str = "4") -> SessionCard:
    """Have a command run, by the form; return its card at once."""
    tell(page.environment_card, "choose", {"id": "base"})
    tell(page.environment_card, "option", {"name": "command", "value": command})
    tell(page.start_card, "start", {**FORM, "name": name, "hours": hours})
    await until(lambda: name in cards(page), f"the card of {name}")
    return cards(page)[name]


# — what a visitor sees —


def reasons(page: Page) -> list[str]:
    """The fields that keep Start from being possible."""
    return [blocker["field"] for blocker in page.start_card.blockers]


def cards(page: Page) -> dict[str, SessionCard]:
    """The sessions' cards by name, in their order."""
    return {card.view["name"]: card for card in [*page.shell.sessions, *page.shell.ended]}


async def shows(card: SessionCard, state: State) -> None:
    """Wait until the card shows a state."""
    await until(lambda: card.view["state"] == state.value, f"“{state.value}” on the card of {card.view['name']}")


def record(component: Component) -> list[tuple[str, Any]]:
    """Collect what the component calls in the browser."""
    calls: list[tuple[str, Any]] = []
    component.send = lambda content, buffers=None: calls.append((content["method"], content["args"]))
    return calls


def synced(page: Page) -> str:
    """All that the browser is sent as state."""
    parts = [page.start_card, *page.shell.sessions, *page.shell.ended]
    widgets = [page.shell, page.account_card, page.environment_card, *parts]
    names = ("share", "files", "results", "panels")
    widgets += [inner for part in parts for name in names if (inner := getattr(part, name, None))]
    return json.dumps([widget.get_state() for widget in widgets], default=str)
