"""The frame: header, the sessions above the three cards, and the overlay for when the kernel is gone."""

from __future__ import annotations

import time
from typing import Any

import traitlets
from ipywidgets import widget_serialization

from run_qarnot.page.component import Component, Fields, event
from run_qarnot.page.tasks import Tasks


class Shell(Component):
    """Holds the other components. Its pings tell the page that somebody looks, and the browser that we live."""

    template_file = (__file__, "shell.vue")

    account: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    environment: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    start: Any = traitlets.Any().tag(sync=True, **widget_serialization)
    sessions: Any = traitlets.List().tag(sync=True, **widget_serialization)
    announcement = traitlets.Unicode("").tag(sync=True)  # read out by screen readers
    finding = traitlets.Bool(False).tag(sync=True)

    def __init__(self, tasks: Tasks, **parts: Any) -> None:
        self.seen = time.monotonic()
        super().__init__("shell", tasks, **parts)

    @event
    def vue_ping(self, _fields: Fields) -> None:
        """Somebody looks at the page. Answered, because a dead kernel is silent otherwise."""
        self.seen = time.monotonic()
        self.call("pong")
