"""A pool of idle connections to one server (HTTP keep-alive), for the next requests.

Behind a tunnel each connection is an SSH channel, which takes a round trip to open.
"""

from __future__ import annotations

import time

from tornado.iostream import IOStream

_MOST = 8  # a browser opens six to a host
_IDLE_SECONDS = 15.0  # many servers close idle connections after some seconds; the request is then repeated


class KeptConnections:
    """Keeps connections between two requests."""

    def __init__(self) -> None:
        self._idle: list[tuple[float, IOStream]] = []

    def keep(self, stream: IOStream) -> None:
        """Add a connection. One with unread data is closed instead."""
        if _is_spoilt(stream):
            stream.close()
            return
        stream.set_close_callback(lambda: self._forget(stream))  # this also makes the event loop watch it
        self._idle.append((time.monotonic() + _IDLE_SECONDS, stream))
        while len(self._idle) > _MOST:
            self._idle.pop(0)[1].close()

    def take(self) -> IOStream | None:
        """Remove and return the most recently used connection that may still be open, if any."""
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
        """Close all connections, because the server is gone."""
        idle, self._idle = self._idle, []
        for _, stream in idle:
            stream.close()

    def __len__(self) -> int:
        return len(self._idle)

    def _forget(self, stream: IOStream) -> None:
        self._idle = [each for each in self._idle if each[1] is not stream]


def _is_spoilt(stream: IOStream) -> bool:
    """Whether it is closed, or has data that would be read as the next answer."""
    return stream.closed() or stream._read_buffer_size > 0
