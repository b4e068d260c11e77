"""Threads for calls that block: a call that hangs keeps neither the next one, nor the end of the program.

They are daemons, and nobody waits for them: one that hangs on a cluster that is dead must not keep a person who pressed
Ctrl-C, and `ThreadPoolExecutor` would join it when the program ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(Executor):
    """An executor whose threads are made when all others are busy, and end after `shutdown`, or with the program.

    Arguments:
        name: of the threads.
        most: threads; what comes while all of them are busy waits.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._count = self._idle = 0
        self._is_over = False

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Have a function called in one of the threads."""
        future: Future[T] = Future()

        def job() -> None:
            if self._is_over:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*arguments, **named)
            except BaseException as error:  # it belongs to who asked  # noqa: BLE001
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if self._is_over:
                raise RuntimeError("the workers were shut down")
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._count < self._most:
                self._count += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._count}", daemon=True).start()
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Do nothing more. What has begun is left to itself: nobody ever waits for it."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        """Wait for a job; None when there will be no more."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._is_over)
            self._idle -= 1
            return self._jobs.popleft() if self._jobs else None
