"""One thread for calls that block, one after the other.

It is a daemon, and nobody waits for it: one that hangs on a cluster that is dead must not keep a person who pressed
Ctrl-C, and `ThreadPoolExecutor` would join it when the program ends.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Executor):
    """An executor with one thread, which ends after `shutdown`, or with the program."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_over = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Have a function called in the thread."""
        if self._is_over:
            raise RuntimeError("the worker was shut down")
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

        self._jobs.put(job)
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Do nothing more. What has begun is left to itself: nobody ever waits for it."""
        self._is_over = True
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
