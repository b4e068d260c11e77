"""The panels of plugins for a session: requested in the background, shown as text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from run_qarnot.catalog.hooks import Panel
from run_qarnot.core.language import chosen
from run_qarnot.core.redaction import redact
from run_qarnot.core.state import State
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component
from run_qarnot.page.markdown import read_markdown
from run_qarnot.page.props import Row

if TYPE_CHECKING:
    from run_qarnot.engine.session import Session

_MOST_PANELS = 20
_MOST_ROWS, _MOST_COLUMNS, _LONGEST_CELL = 500, 20, 500


class Panels(Component):
    """Shows panels as plain data. `asked` is called after plugins were called, because one may have failed."""

    source = Path(__file__).with_suffix(".vue")

    session = traitlets.Unicode("").tag(sync=True)  # its name: that of a landmark must be the only one of the page
    panels: Any = traitlets.List().tag(sync=True)

    def __init__(self, tasks: Background, session: Session, asked: Callable[[], None]) -> None:
        self._session = session
        self._told = asked
        self._wanted = False
        self._about: tuple[State, datetime | None] | None = None  # the state for which they were called last
        self._found: list[Panel] = []
        self._asking: asyncio.Task[None] | None = None
        super().__init__("panels", tasks, session=session.view.name)

    def refresh(self) -> None:
        """Call the plugins again if the session has changed.

        They may take seconds; requests meanwhile become one more call.
        """
        self._wanted = True
        if self._asking is None or self._asking.done():
            self._asking = self.tasks.spawn(self._ask(), self.failed)

    async def _ask(self) -> None:
        while self._wanted:
            self._wanted = False
            view = self._session.view
            if self._about == (about := (view.state, view.saved)):
                continue  # the card is shown a moment late: what it asks for now, they were asked about then
            self._found = (await self._session.panels())[:_MOST_PANELS]
            self._about = about
            self._show()
            self._told()

    def retranslate(self) -> None:
        super().retranslate()
        self._show()

    def _show(self) -> None:
        self.panels = [_panel_row(panel) for panel in self._found]


def _panel_row(panel: Panel) -> Row:
    """Return a panel's Markdown as blocks of text, and the first rows of its table."""
    return {
        "title": redact(chosen(panel.title)[:_LONGEST_CELL]),
        "by": panel.source,
        "blocks": read_markdown(chosen(panel.text)),
        "head": _cells(map(chosen, panel.head)),
        "rows": [_cells(row) for row in panel.rows[:_MOST_ROWS]],
        "count": len(panel.rows),
    }


def _cells(row: Iterable[str]) -> list[str]:
    return [redact(cell[:_LONGEST_CELL]) for cell in islice(row, _MOST_COLUMNS)]
