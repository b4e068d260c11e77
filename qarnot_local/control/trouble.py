"""Plays a scripted fault in place of an answer: a reset, a timeout, a lost answer, another status."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qarnot_local.control.faults import LOST, RESET, TIMEOUT, Call, Fault, Faults

_FLUSH_SECONDS = 1.0
_POLL_SECONDS = 0.05


class Recorder:
    """A `send` that notes the status of the answer. It leads to uvicorn's own, which alone knows the connection."""

    def __init__(self, call: Call, send: Send) -> None:
        self._call = call
        self.send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._call.end(message["status"])
        await self.send(message)

    @property
    def transport(self) -> Any:
        """The connection: `send` is a method of uvicorn's request cycle."""
        return getattr(self.send, "__self__").transport  # noqa: B009 - a protocol says nothing of it

    def reset(self) -> None:
        """Reset the connection: lingering for 0 seconds turns the close into a reset."""
        with contextlib.suppress(OSError):  # closed already
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


Request = tuple[Scope, Receive, Recorder]


async def play(fault: Fault, app: ASGIApp, answer: ASGIApp, faults: Faults, request: Request) -> None:
    """Answer a request, or do not, as a fault says.

    Arguments:
        app: the application that would answer without the fault.
        answer: the application that answers with the fault's status.
        faults: tells when the cluster stops.
        request: its scope, receive and send.
    """
    scope, receive, send = request
    if fault.how == LOST:
        await app(scope, receive, _nowhere)
        send.reset()
    elif fault.how == RESET and fault.after_bytes and scope["method"] == "GET":
        await app(scope, receive, _Cut(fault.after_bytes, send))
        send.reset()
    elif fault.how == RESET:
        await _read(receive, fault.after_bytes)
        send.reset()
    elif fault.how == TIMEOUT:
        await _never(receive, faults)
        send.reset()
    else:
        await answer(scope, receive, send)


class _Cut:
    """A `send` that passes so many bytes of the body on, and resets the connection then."""

    def __init__(self, size: int, recorder: Recorder) -> None:
        self._left = size
        self._recorder = recorder

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            if not self._left:
                return
            message = {**message, "body": message.get("body", b"")[: self._left], "more_body": True}
            self._left -= len(message["body"])
        await self._recorder(message)
        if not self._left:
            await self._flush()
            self._recorder.reset()

    async def _flush(self) -> None:
        """Wait until the client can have the bytes: a reset overtakes unsent ones."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
        while self._recorder.transport.get_write_buffer_size() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)


async def _nowhere(message: Message) -> None:
    """An answer that is lost."""


async def _read(receive: Receive, size: int) -> None:
    """Read so many bytes of the body; all of it, for at most a second, when `size` is 0: the client waits then."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None if size else 1):
            got = 0
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                got += len(message.get("body", b""))
                if size and got >= size:
                    return


async def _never(receive: Receive, faults: Faults) -> None:
    """Wait until the client gives up or the cluster stops."""
    gone = asyncio.create_task(_gone(receive))
    while not gone.done() and not faults.stopping.is_set():
        await asyncio.wait({gone}, timeout=0.1)
    gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
