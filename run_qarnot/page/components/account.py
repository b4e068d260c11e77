"""Card 1: the token comes in as an event, never as a trait, and one line says whose account it opened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import traitlets

from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event

_LONGEST_TOKEN = 4096


class AccountCard(Component):
    """`state` is one of: asking, checking, known."""

    source = Path(__file__).with_suffix(".vue")

    state = traitlets.Unicode("asking").tag(sync=True)
    preset = traitlets.Bool(False).tag(sync=True)
    trimmed = traitlets.Bool(False).tag(sync=True)
    summary: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self, tasks: Background, check: Callable[[str], Coroutine[Any, Any, None]], change: Callable[[], None]
    ) -> None:
        self._check = check
        self._change = change
        super().__init__("account", tasks)

    @event
    async def vue_check(self, fields: Fields) -> None:
        await self._check(fields.text("token", _LONGEST_TOKEN))

    @event
    def vue_change(self, _fields: Fields) -> None:
        self._change()
