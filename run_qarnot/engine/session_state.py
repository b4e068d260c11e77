"""What is known of a session, and who is told when it changes."""

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
    """Says what is being done, and how much of it."""

    def __call__(self, what: Message | None, progress: float | None = None, /) -> None: ...


Listener = Callable[[SessionView], None]
Changed = Callable[[SessionView, SessionView], None]


class ViewPublisher:
    """Holds the latest view and tells each new one.

    The view's note says what is being done, or else what is in the way, or else how it usually is.

    Arguments:
        view: the first one.
        changed: told the view before and the one after, before any listener.
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
        """Have `listener` told each new view; returns the way to end that."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    async def until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view."""
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
        """Say what is being done, for the block; what the block is given says it anew.

        Arguments:
            after_end: it is done to a session whose run is over; else its end is said instead.
        """
        before, self._after_end = (self._doing, self._after_end), after_end
        self.tell_doing(what)
        try:
            yield self.tell_doing
        finally:
            doing, self._after_end = before
            self.tell_doing(doing)

    def tell_doing(self, what: Message | None, progress: float | None = None) -> None:
        """Say what is being done; of what is being sent, also how much is there, 0 to 1."""
        self._doing = what
        self.change(progress=progress)

    def tell_trouble(self, what: Message | None) -> None:
        """Say what is in the way; None when it is gone."""
        self._trouble = what
        self.change()

    def tell_usual(self, what: Message | None, **changes: object) -> None:
        """Change parts of the view. While it starts or is ready, and there is nothing else to say, say this."""
        self._usual = what
        self.change(**changes)

    def move(self, view: SessionView) -> None:
        """Set the view of another state, of which nobody knows yet how it usually is."""
        self._usual = None
        self.set(view)

    def change(self, **changes: object) -> None:
        """Change parts of the view."""
        self.set(replace(self.view, **changes))  # type: ignore[arg-type]

    def learn(self, **facts: object) -> None:
        """Complete the view by what was so before: the listeners are told, but it is no event for plugins."""
        self.set(replace(self.view, **facts), is_event=False)  # type: ignore[arg-type]

    def set(self, view: SessionView, *, is_event: bool = True) -> None:
        """Set the view, with the note of the moment; nobody is told of what has not changed."""
        usual = self._usual if view.state in _USUAL else None  # after a preemption it is loaded again
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
