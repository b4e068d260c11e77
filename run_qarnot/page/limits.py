"""Limits of a server: on attempts to log in, and on open pages."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import tornado.web
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from run_qarnot.page.downloads import FOLDER_VARIABLE

_FREE_TRIES = 5
_LONGEST_WAIT_SECONDS = 60.0
_FORGET_SECONDS = 15 * 60.0
_VISITOR_BYTES = 100_000_000  # a kernel with an account and its sessions
_KEPT_BYTES = 500_000_000  # for the server itself and other processes
_FEWEST, _MOST = 4, 200
_CGROUP = Path("/sys/fs/cgroup")


class Backoff:
    """Exponential back-off after wrong tokens: five are free, then each doubles the wait, up to a minute.

    There is one counter for all clients, because an attacker can use many addresses. Visitors who are logged in are
    not affected.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures = 0
        self._last = self._next = 0.0

    def wait(self) -> float:
        """Return the seconds until the next attempt is checked; 0 if it is checked now."""
        return max(0.0, self._next - self._now())

    def fail(self) -> None:
        """Count a wrong token."""
        now = self._now()
        if now - self._last > _FORGET_SECONDS:
            self._failures = 0
        self._failures = min(self._failures + 1, 100)
        excess = self._failures - _FREE_TRIES
        self._last, self._next = now, now + (min(2.0**excess, _LONGEST_WAIT_SECONDS) if excess >= 0 else 0.0)


def default_max_visitors() -> int:
    """Return how many pages fit into the memory of this machine or container."""
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):
        free = min(free, int((_CGROUP / "memory.max").read_text()) - int((_CGROUP / "memory.current").read_text()))
    return min(max((free - _KEPT_BYTES) // _VISITOR_BYTES, _FEWEST), _MOST)


@dataclass
class _Visit:
    """A page that is being opened and has no kernel yet."""

    waits: bool = True


_visit: ContextVar[_Visit | None] = ContextVar("visit", default=None)


class VisitorKernels(AsyncMappingKernelManager):  # type: ignore[misc,unused-ignore]
    """The kernels of the pages, each with the visitor that owns it.

    The first visitor who connects to a kernel owns it: only that visitor's page contains its id.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)  # type: ignore[no-untyped-call,unused-ignore]
        self._starting: set[str] = set()
        self._preheated: set[str] = set()  # started ahead, without an owner
        self._owners: dict[str, str] = {}
        self._visits: list[_Visit] = []

    @property
    def visitors(self) -> int:
        """How many pages are open, or being opened."""
        used = (set(self.list_kernel_ids()) | self._starting) - self._preheated
        return len(used) + sum(visit.waits for visit in self._visits)

    @contextlib.contextmanager
    def visit(self, most: int, *, preheated: bool) -> Iterator[bool]:
        """Reserve a place for a page while it is opened.

        Arguments:
            most: pages that may be open.
            preheated: whether a kernel that was started ahead will be used.

        Yields:
            Whether there is a place.
        """
        if self.visitors >= most:
            yield False
            return
        visit = _Visit()
        self._visits.append(visit)
        token = _visit.set(None if preheated else visit)
        try:
            yield True
        finally:
            self._visits.remove(visit)
            _visit.reset(token)

    def belongs_to(self, kernel_id: str, visitor: str) -> bool:
        """Whether a visitor may use a kernel; the first one who does is its owner from then on."""
        if kernel_id not in self:
            return True  # there is no such kernel
        self._preheated.discard(kernel_id)
        return self._owners.setdefault(kernel_id, visitor) == visitor

    async def end_of(self, visitor: str) -> None:
        """End all kernels of a visitor."""
        for kernel_id in [each for each, owner in self._owners.items() if owner == visitor]:
            with contextlib.suppress(tornado.web.HTTPError, RuntimeError):  # it has ended by itself
                await self.shutdown_kernel(kernel_id)  # type: ignore[no-untyped-call,unused-ignore]

    async def kill_unopened(self) -> None:
        """Kill the kernels whose page no browser has opened: they have nothing to clean up.

        Asked to end, ipykernel would close the sockets on which it is still answering, and log a traceback.
        """
        for kernel_id in set(self.list_kernel_ids()) - set(self._owners):
            await self.shutdown_kernel(kernel_id, now=True)  # type: ignore[no-untyped-call,unused-ignore]

    async def start_kernel(self, *arguments: Any, **options: Any) -> str:  # type: ignore[override,unused-ignore]
        """Start a kernel; arguments and options are those of the base class.

        Its temporary files are in the server's private folder, which is removed even if the kernel was killed.
        """
        options["env"] = {**(options.get("env") or os.environ), "TMPDIR": os.environ[FOLDER_VARIABLE]}
        visit = _visit.get()
        kernel_id = str(options.setdefault("kernel_id", self.new_kernel_id()))
        self._starting.add(kernel_id)
        if visit is not None and visit.waits:
            visit.waits = False
        else:
            self._preheated.add(kernel_id)
        try:
            return str(await super().start_kernel(*arguments, **options))
        finally:
            self._starting.discard(kernel_id)

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel that has ended."""
        self._preheated.discard(kernel_id)
        self._owners.pop(kernel_id, None)
        return super().remove_kernel(kernel_id)
