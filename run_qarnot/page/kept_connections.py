"""Connections to one server that are open and idle (HTTP keep-alive): the next request need not open one.

Behind a tunnel each connection is an SSH channel, which costs a round trip to the machine and back.
"""

from __future__ import annotations

import time

from tornado.iostream import IOStream

_MOST = 8  # a browser opens six to a host
_IDLE_SECONDS = 15.0  # many servers close them themselves after some seconds; then the request is sent again


class KeptConnections:
    """Keeps connections of which one answer has ended, and no other has begun."""

    def __init__(self) -> None:
        self._idle: list[tuple[float, IOStream]] = []

    def keep(self, stream: IOStream) -> None:
        """Take over a connection, to give it away again or to close it. One with more to read is closed."""
        if _is_spoilt(stream):
            stream.close()
            return
        stream.set_close_callback(lambda: self._forget(stream))  # has the event loop watch it, too
        self._idle.append((time.monotonic() + _IDLE_SECONDS, stream))
        while len(self._idle) > _MOST:
            self._idle.pop(0)[1].close()

    def take(self) -> IOStream | None:
        """Return the one that was used last, if there is one that may still be open."""
        now = time.monotonic()
        for ends, stream in list(self._idle):
            if ends < now or _is_spoilt(stream):
                stream.close()
                self._forget(stream)
        if not self._idle:
            return None
        _, stream = self._idle.pop()
        stream.set_close_callback(None)
        return stream

    def close(self) -> None:
        """Close all: they lead to where nobody is any more."""
        idle, self._idle = self._idle, []
        for _, stream in idle:
            stream.close()

    def __len__(self) -> int:
        return len(self._idle)

    def _forget(self, stream: IOStream) -> None:
        self._idle = [each for each in self._idle if each[1] is not stream]


def _is_spoilt(stream: IOStream) -> bool:
    """Whether it is closed, or holds what would be taken for the next answer."""
    return stream.closed() or stream._read_buffer_size > 0
