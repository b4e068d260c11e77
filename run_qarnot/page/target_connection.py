"""Connections from the streaming proxy to its target."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path
from typing import Any

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError

Address = tuple[str, int] | Path  # an IP address and port, or the path of a Unix socket

UNLIMITED = sys.maxsize  # bytes of a body
_CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
_MAX_HEADER_BYTES = 256 * 1024


class TargetConnection(HTTP1Connection):
    """A connection to the target, while it answers one request.

    Arguments:
        stream: to the target.
        is_used: an earlier request was answered over it.
    """

    def __init__(self, stream: IOStream, *, is_used: bool = False) -> None:
        stream.set_nodelay(True)
        self.is_used = is_used
        self._has_request = False  # the complete one
        limits = HTTP1ConnectionParameters(
            no_keep_alive=True, chunk_size=_CHUNK_BYTES, max_header_size=_MAX_HEADER_BYTES, max_body_size=UNLIMITED
        )
        super().__init__(stream, True, limits)
        self.head_arrived = asyncio.Event()  # or the connection failed

    def write_headers(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders, chunk: bytes | None = None
    ) -> asyncio.Future[None]:
        """Send a request's head. Tornado chunks only the bodies of POST, PUT and PATCH; here the headers decide."""
        written = super().write_headers(start_line, headers, chunk)
        self._chunking_output = "Transfer-Encoding" in headers
        return written

    def finish_request(self) -> None:
        """Mark the request's body as complete."""
        if not self._has_request and self.stream is not None and not self.stream.closed():
            self._has_request = True
            self.finish()

    @property
    def has_request(self) -> bool:
        """Whether all of the request was sent."""
        return self._has_request


class _TargetStream(IOStream):
    """Ignores write errors.

    The target may have answered before the request was complete, and closed. `IOStream` would drop that answer.
    """

    def write_to_fd(self, data: memoryview) -> int:
        try:
            return super().write_to_fd(data)
        except (BrokenPipeError, ConnectionResetError):
            return len(data)


async def connect(address: Address) -> IOStream:
    """Open a connection to the target.

    Raises:
        OSError, StreamClosedError, TimeoutError: nothing listens there, or nothing answers in ten seconds.
    """
    family, where = _resolve(address)
    stream = _TargetStream(socket.socket(family))
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await stream.connect(where)
    except BaseException:  # re-raised (including cancellation) without leaving an open socket
        stream.close()
        raise
    return stream


def _resolve(address: Address) -> tuple[int, Any]:
    if isinstance(address, Path):
        return socket.AF_UNIX, str(address)
    family, *_, where = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
    return family, where


async def splice(one: IOStream, other: IOStream) -> None:
    """Copy bytes both ways until one side closes; then close both."""
    one.set_nodelay(True)
    pumps = [asyncio.create_task(_pump(one, other)), asyncio.create_task(_pump(other, one))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        one.close()
        other.close()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(source: IOStream, sink: IOStream) -> None:
    with contextlib.suppress(StreamClosedError):
        while True:
            await sink.write(await source.read_bytes(_CHUNK_BYTES, partial=True))
