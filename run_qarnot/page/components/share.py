"""“Share”: a launch link and its README badge, made on request from the current values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from run_qarnot.page.actions import Shared
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event

_LONGEST_ADDRESS = 8000


class Share(Component):
    """`make` is called with the dashboard's address in the browser."""

    source = Path(__file__).with_suffix(".vue")

    session = traitlets.Unicode("").tag(sync=True)  # the session whose values are shared; empty: the form's
    shared: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    def __init__(self, tasks: Background, make: Callable[[str], Shared], session: str = "") -> None:
        self._make = make
        super().__init__("share", tasks, session=session)

    @event
    def vue_make(self, fields: Fields) -> None:
        self.problem = self.shared = None
        self.shared = self._make(fields.text("address", _LONGEST_ADDRESS))._asdict()

    def put_away(self) -> None:
        """Clear the panel; its link is stale."""
        self.problem = self.shared = None

    @event
    def vue_put_away(self, _fields: Fields) -> None:
        self.put_away()
