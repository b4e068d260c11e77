"""Finds the addresses on which a task's own servers listen: forwards lead only to these."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping

import psutil

HERE = "127.0.0.1"
Address = tuple[str, int]

# Where to connect for a server that listens here, by the address it is bound to. Java's say the fifth. What is bound to
# another address (127.0.0.3) is not `localhost`: at 127.0.0.1 there may be another task's server, with the same port.
_LOCAL = {
    "127.0.0.1": HERE,
    "0.0.0.0": HERE,  # noqa: S104 - where others listen
    "::1": "::1",
    "::": "::1",
    "::ffff:127.0.0.1": HERE,
}


class TaskPorts:
    """`named` are real local ports by what they are called in the task; the others are as they are."""

    def __init__(self, named: Mapping[int, int], pids: Callable[[], Iterable[int]]) -> None:
        self._named = dict(named)
        self._pids = pids

    async def find(self, port: int) -> Address | None:
        """The address behind a port of the task; None when nothing of the task listens there."""
        if port in self._named:
            return HERE, self._named[port]
        own = await asyncio.to_thread(_listening, list(self._pids()))
        return next(((here, port) for bound, here in _LOCAL.items() if (bound, port) in own), None)


def _listening(pids: Iterable[int]) -> set[Address]:
    """The TCP addresses on which these processes or their descendants listen."""
    found = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    for connection in process.net_connections("tcp"):
                        if connection.status == psutil.CONN_LISTEN:
                            found.add((connection.laddr.ip, connection.laddr.port))
    return found
