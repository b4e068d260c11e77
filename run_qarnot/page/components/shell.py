"""The frame: header, the sessions above the three cards, and the overlay for a lost kernel."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import traitlets
from ipywidgets import widget_serialization

from run_qarnot.core.language import LANGUAGES
from run_qarnot.page.actions import PageActions
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event
from run_qarnot.page.components.account import AccountCard

_LONGEST_QUERY = 8000


class Shell(Component):
    """Holds the other components. The browser's pings show that the page is open, the answers that the kernel lives."""

    source = Path(__file__).with_suffix(".vue")

    account: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    environment: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    start: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    sessions: Any = traitlets.List().tag(sync=True, **widget_serialization)
    ended: Any = traitlets.List().tag(
        sync=True, **widget_serialization
    )  # sessions that ended before the page was opened
    announcement = traitlets.Unicode("").tag(sync=True)  # read out by screen readers
    ready: Any = traitlets.List().tag(sync=True)  # names of ready sessions, shown in the tab's title
    older = traitlets.Int(0).tag(sync=True)  # number of ended sessions without a card
    finding = traitlets.Bool(False).tag(sync=True)
    link: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)  # what a launch link filled in
    preheated = traitlets.Bool(False).tag(sync=True)  # the browser then sends `visitor_arrived`
    asks_again = traitlets.Bool(False).tag(sync=True)  # a token was typed, which a reload forgets
    logout = traitlets.Unicode("").tag(sync=True)  # the address that logs out; empty without a login
    languages: Any = traitlets.Dict(LANGUAGES).tag(sync=True)

    def __init__(self, page: PageActions, tasks: Background, account: AccountCard, **parts: Any) -> None:
        self.seen = time.monotonic()
        self.shown = asyncio.Event()  # the browser has created and shows all widgets
        self._page = page
        super().__init__("shell", tasks, account=account, **parts)
        traitlets.dlink((account, "state"), (self, "asks_again"), lambda now: now == "known" and not account.is_given)

    @event
    def vue_ping(self, _fields: Fields) -> None:
        """Note that the page is open; answer, so that the browser notices a dead kernel."""
        self.seen = time.monotonic()
        self.shown.set()
        self.call("pong")

    @event
    def vue_visitor_arrived(self, fields: Fields) -> None:
        """The visitor of a preheated kernel has arrived; only the first such event counts."""
        if self.preheated:
            self._page.visitor_arrived(fields.text("query", _LONGEST_QUERY))
            self.preheated = False

    @event
    def vue_show_older(self, _fields: Fields) -> None:
        """Show more of the sessions that ended long ago."""
        self._page.sessions.show_older()

    @event
    def vue_speak(self, fields: Fields) -> None:
        """Set the language from the switch, or from an earlier visit."""
        self._page.set_language(fields.text("language", 10))
