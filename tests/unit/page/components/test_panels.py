"""Panels of plugins as plain data."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from support.waiting import until

from run_qarnot.catalog.hooks import Panel
from run_qarnot.core.state import State
from run_qarnot.page.background import Background
from run_qarnot.page.components.panels import Panels


class Session:
    """A session whose plugins answer at once."""

    def __init__(self, panels: list[Panel]) -> None:
        self.view = SimpleNamespace(name="calm", state=State.READY, saved=None)
        self.found = panels
        self.asked = 0

    async def panels(self) -> list[Panel]:
        self.asked += 1
        return self.found


def shown(tasks: Background, *panels: Panel) -> list[dict[str, Any]]:
    async def scene() -> Panels:
        session: Any = Session(list(panels))
        told: list[int] = []
        made = Panels(tasks, session, lambda: told.append(1))
        made.refresh()
        made.refresh()
        await until(lambda: told, "the plugins' answers")
        made.refresh()
        await made._asking  # type: ignore[misc]
        assert session.asked == 1, "nothing has happened since"
        session.view.state = State.ENDED
        made.refresh()
        await made._asking  # type: ignore[misc]
        assert session.asked == 2
        return made

    return list(asyncio.run(scene()).panels)


def test_plugins_are_asked_again_only_when_something_has_happened(tasks: Background) -> None:
    (panel,) = shown(tasks, Panel("Title", "Some *text*", ("a",), (("1",), ("2",)), "ours.py"))
    assert (panel["title"], panel["by"], panel["head"], panel["rows"]) == ("Title", "ours.py", ["a"], [["1"], ["2"]])


def test_what_is_shown_is_limited_and_redacted(tasks: Background) -> None:
    row = tuple(f"{n} token=abc123456789" for n in range(50))
    panels = shown(tasks, *[Panel("T" * 1000, "text", (), (row,) * 1000, "p")] * 30)
    assert len(panels) == 20
    assert (len(panels[0]["rows"]), panels[0]["count"], len(panels[0]["rows"][0])) == (500, 1000, 20)
    assert len(panels[0]["title"]) == 500
    assert "abc123456789" not in str(panels[0])
