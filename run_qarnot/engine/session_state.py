"""The view of a session, and its listeners."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from run_qarnot.core.messages import Message
from run_qarnot.core.state import FINAL, State
from run_qarnot.model.view import SessionView

log = logging.getLogger(__name__)
_USUAL = frozenset({State.STARTING, State.READY})


class Tell(Protocol):
    """Reports the current action and its progress, 0 to 1."""

    def __call__(self, what: Message | None, progress: float | None = None, /) -> None: ...


Listener = Callable[[SessionView], None]
Changed = Callable[[SessionView, SessionView], None]


class ViewPublisher:
    """Holds the latest view and passes each new one to the listeners.

    The view's note is the current action, else the current trouble, else the usual note of the state.

    Arguments:
        view: the first one.
        changed: called with the views before and after each change, before any listener.
    """

    def __init__(self, view: SessionView, changed: Changed) -> None:
        self.view = view
        self._changed = changed
        self._doing: Message | None = None
        self._after_end = False
        self._trouble: Message | None = None
        self._usual: Message | None = None
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each new view; return a function that ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    async def until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view that meets the condition."""
        reached = asyncio.Event()
        unsubscribe = self.subscribe(lambda view: reached.set() if condition(view) else None)
        try:
            if not condition(self.view):
                await reached.wait()
            return self.view
        finally:
            unsubscribe()

    @contextlib.contextmanager
    def doing(self, what: Message, *, after_end: bool = False) -> Iterator[Tell]:
        """Show an action while the block runs. The block receives a function that changes it.

        Arguments:
            after_end: show the action also when the run is over, instead of its end.
        """
        before, self._after_end = (self._doing, self._after_end), after_end
        self.tell_doing(what)
        try:
            yield self.tell_doing
        finally:
            doing, self._after_end = before
            self.tell_doing(doing)

    def tell_doing(self, what: Message | None, progress: float | None = None) -> None:
        """Show an action, and the progress of a transfer, 0 to 1."""
        self._doing = what
        self.change(progress=progress)

    def tell_trouble(self, what: Message | None) -> None:
        """Show a problem; None when it is solved."""
        self._trouble = what
        self.change()

    def tell_usual(self, what: Message | None, **changes: object) -> None:
        """Change parts of the view, and show a note while the app starts or is ready and nothing else is shown."""
        self._usual = what
        self.change(**changes)

    def move(self, view: SessionView) -> None:
        """Set the view of another state and drop the usual note of the previous one."""
        self._usual = None
        self.set(view)

    def change(self, **changes: object) -> None:
        """Change parts of the view."""
        self.set(replace(self.view, **changes))  # type: ignore[arg-type]

    def learn(self, **facts: object) -> None:
        """Add facts to the view. Listeners are called, but plugins get no event, because nothing has happened."""
        self.set(replace(self.view, **facts), is_event=False)  # type: ignore[arg-type]

    def set(self, view: SessionView, *, is_event: bool = True) -> None:
        """Set the view with the current note. An unchanged view is not published."""
        usual = self._usual if view.state in _USUAL else None  # not in a state such as loading after a preemption
        if view.state in FINAL:
            view = replace(view, note=self._doing if self._after_end else None)
        else:
            view = replace(view, note=self._doing or self._trouble or usual)
        if view == self.view:
            return
        before, self.view = self.view, view
        if (before.run, before.attempt, before.state) != (view.run, view.attempt, view.state):
            log.info("%s: %s, run %d, attempt %d", view.name, view.state, view.run, view.attempt)
        if is_event:
            self._changed(before, view)
        for listener in list(self._listeners):
            listener(view)
