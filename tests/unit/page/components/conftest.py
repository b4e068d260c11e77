"""Components without a page around them: what they ask of it is written down."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from ipywidgets.widgets import widget
from support.waiting import turn

from run_qarnot.page import guard
from run_qarnot.page.actions import AccountActions, FormActions, PageActions, SessionActions, Shared
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component


class RecordedActions:
    """What a component asks of its page, in order: (name, arguments)."""

    def __init__(self, kind: type, calls: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._kind = kind
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        assert hasattr(self._kind, name), f"{self._kind.__name__} has no {name}"

        def act(*arguments: Any) -> Any:
            self.calls.append((name, arguments))
            if inspect.iscoroutinefunction(getattr(self._kind, name)):
                return turn()
            return Shared(f"{arguments[0]}?opt-image=a", "badge") if name == "share" else None

        return act


class RecordedPage(RecordedActions):
    """A page whose parts write down what is asked of them."""

    def __init__(self) -> None:
        super().__init__(PageActions, [])
        self.account: Any = RecordedActions(AccountActions, self.calls)
        self.form: Any = RecordedActions(FormActions, self.calls)
        self.sessions: Any = RecordedActions(SessionActions, self.calls)


@pytest.fixture
def page() -> RecordedPage:
    return RecordedPage()


@pytest.fixture
def tasks() -> Iterator[Background]:
    """The background of a page; components that a test makes are closed after it."""
    guard.install()
    yield Background()
    for made in list(widget._instances.values()):
        if isinstance(made, Component):
            made.close()
