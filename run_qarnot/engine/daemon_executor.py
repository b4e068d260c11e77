"""Threads for calls that block: a call that hangs keeps neither the next one, nor the end of the program.

All blocking calls of the engine, the commands and the page run here, none in asyncio's default executor: its threads
are joined when the loop and the program end, so that Ctrl-C would wait for a storage that never answers. These threads
are daemons, and nobody waits for them.
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
    """An executor whose threads are made when all others are busy, and end after `shutdown`, or with the program.

    It is a `ThreadPoolExecutor` by type alone: asyncio takes no other as the default executor of a loop.

    Arguments:
        name: of the threads.
        most: threads; what comes while all of them are busy waits.
    """

    def __init__(self, name: str, most: int) -> None:
        super().__init__(1)  # of whose threads none is ever made
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
                raise RuntimeError("the executor was shut down")
            self._jobs.append(job)
            if len(self._jobs) > self._idle and self._count < self._most:
                self._count += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._count}", daemon=True).start()
            self._changed.notify()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
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


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program on a loop of its own, like `asyncio.run`; its end waits for nothing that blocks.

    asyncio itself looks names up (`getaddrinfo`) in the default executor of the loop.
    """

    async def run_here() -> T:
        asyncio.get_running_loop().set_default_executor(DaemonExecutor("lookup", 8))
        return await main

    return asyncio.run(run_here())


_shared = DaemonExecutor("blocking", 64)  # each thread is made when all others are busy, so there are seldom many


async def in_thread(function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Run a function that blocks, in a thread of this process; like `asyncio.to_thread`, but an end waits for nothing.

    Who is cancelled goes on at once; the function is left to itself.
    """
    return await run_in(_shared, function, *arguments, **named)


async def run_in(executor: Executor, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Run a function that blocks in a certain executor, in the context of who asks."""
    call = partial(contextvars.copy_context().run, function, *arguments, **named)
    return await asyncio.get_running_loop().run_in_executor(executor, call)
