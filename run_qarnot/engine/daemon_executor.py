"""Runs blocking calls in daemon threads: a call that hangs delays neither other calls nor the end of the program.

All blocking calls of the engine, the commands and the page run here and not in asyncio's default executor, whose
threads are joined when the loop and the program end: Ctrl-C would wait for a storage that never answers. These threads
are never joined.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(ThreadPoolExecutor):
    """An executor that starts a thread when all others are busy. Threads end after `shutdown` or with the program.

    It derives from `ThreadPoolExecutor` only because asyncio accepts no other default executor of a loop.

    Arguments:
        name: of the threads.
        most: number of threads; further calls are queued.
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(1)  # none of its threads is ever started
        self._name = name
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._count = self._idle = 0
        self._is_over = False

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Call a function in one of the threads."""
        future: Future[T] = Future()

        def job() -> None:
            if self._is_over:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*arguments, **named)
            except BaseException as error:  # raised to the caller by the future  # noqa: BLE001
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if self._is_over:
                raise RuntimeError("the executor was shut down")
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._count < self._most:
                self._count += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._count}", daemon=True).start()
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no further calls. Running calls are abandoned: nothing waits for them."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job()

    def _next(self) -> Callable[[], None] | None:
        """Wait for a job; None after `shutdown`."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs or self._is_over)
            self._idle -= 1
            return self._jobs.popleft() if self._jobs else None


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a new event loop, like `asyncio.run`, but without waiting for blocking calls at the end.

    asyncio itself calls `getaddrinfo` in the loop's default executor.
    """

    async def run_here() -> T:
        asyncio.get_running_loop().set_default_executor(DaemonExecutor("lookup", 8))
        return await main

    return asyncio.run(run_here())


_shared = DaemonExecutor("blocking", 64)  # threads are started only when all others are busy, so there are usually few


async def in_thread(function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Run a blocking function in a thread, like `asyncio.to_thread`, but never wait for it at the end of the program.

    A cancelled caller continues at once; the function is abandoned.
    """
    return await run_in(_shared, function, *arguments, **named)


async def run_in(executor: Executor, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Run a blocking function in the given executor, with the caller's context variables."""
    call = partial(contextvars.copy_context().run, function, *arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(executor, call)
