"""Background tasks of the page on the kernel's event loop. References are kept, and errors are passed to a callback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Failed = Callable[[BaseException], None]


class Background:
    """Keeps a reference to each task (the event loop does not) and passes its error to a callback."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], failed: Failed) -> asyncio.Task[Any]:
        """Start `work`; call `failed` with its exception if it raises."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(lambda done: self._finish(done, failed))
        return task

    def cancel(self) -> None:
        """Cancel all running tasks."""
        for task in tuple(self._running):
            task.cancel()

    def _finish(self, task: asyncio.Task[Any], failed: Failed) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failed(error)


class Throttle:
    """Calls `action` at most once per `seconds`, and always once more after the last request.

    The server drops messages silently above 1000 a second, for ever (`reference/voila-ipyvuetify.md` §4).
    """

    def __init__(self, action: Callable[[], None], seconds: float = 0.1) -> None:
        self._action = action
        self._seconds = seconds
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self) -> None:
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._last + self._seconds - loop.time()
        if wait <= 0:
            self._fire()
        else:
            self._timer = loop.call_later(wait, self._fire)

    def cancel(self) -> None:
        """Drop a pending call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        self._last = asyncio.get_running_loop().time()
        self._action()
