"""Runs a WSGI application, such as moto, under an ASGI server. Bodies of any size pass in pieces, both ways."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import Message, Receive, Scope

from qarnot_local.control.trouble import Recorder

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
_DRAIN = 16 << 20  # bytes: an unread body longer than this costs the connection
_NO_BODY = {204, 304}
_log = logging.getLogger(__name__)


class CutError(Exception):
    """Raised by the application: no (more) answer, the connection is to be reset."""


class Body(io.RawIOBase):
    """A request's body, for a thread: the event loop receives it. It ends early when the client goes away."""

    def __init__(self, receive: Receive, length: int) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._is_over = False
        self._left = length

    async def begin(self) -> None:
        """Take the first message, which most bodies are whole in."""
        self._take(await self._receive())

    @property
    def is_too_long(self) -> bool:
        """Whether the rest is not worth reading: the connection must go instead."""
        return self._left > _DRAIN and not self._is_over

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._buffer and not self._is_over:
            try:
                self._take(asyncio.run_coroutine_threadsafe(self._message(), self._loop).result())
            except (CancelledError, RuntimeError):  # the cluster stops
                self._is_over = True
        data, self._buffer = self._buffer[: len(buffer)], self._buffer[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    async def _message(self) -> Message:
        return await self._receive()

    def _take(self, message: Message) -> None:
        self._buffer = message.get("body", b"")
        self._left -= len(self._buffer)
        self._is_over = not message.get("more_body")


class Wsgi:
    """One request to a WSGI application, which runs in a thread of `executor`; itself an ASGI application."""

    def __init__(self, application: Application, environ: Environ, executor: Executor) -> None:
        self._application = application
        self._environ = environ
        self._executor = executor
        self._status = "500 Internal Server Error"
        self._headers = [("Content-Length", "0")]

    async def __call__(self, scope: Scope, receive: Receive, send: Any) -> None:
        body = Body(receive, int(self._environ.get("CONTENT_LENGTH") or 0))
        await body.begin()
        self._environ["wsgi.input"] = body
        try:
            pieces, first = await self._in_thread(self._begin)
        except CutError:
            _cut(send)
            return
        except Exception:  # a fault of the application costs one answer, not the server  # noqa: BLE001
            _log.exception("The storage failed on a %s request", scope["method"])
            pieces, first = iter(()), b""
        status = int(self._status.partition(" ")[0])
        headers = [
            *self._headers,
            ("Date", formatdate(usegmt=True)),
            *([("Connection", "close")] if body.is_too_long else []),
        ]
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        has_body = scope["method"] != "HEAD" and status not in _NO_BODY
        try:
            await self._send(first if has_body else b"", pieces if has_body else iter(()), send)
        except (CutError, ConnectionError):
            _cut(send)
        finally:
            with contextlib.suppress(AttributeError):
                await self._in_thread(pieces.close)  # of a generator

    def _begin(self) -> tuple[Iterator[bytes], bytes]:
        """Call the application; returns what it sends, and the first piece of that."""
        content = self._application(self._environ, self._start)
        pieces = _pieces(content)
        return pieces, next(pieces, b"")

    def _start(self, status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        self._status, self._headers = status, headers

    async def _send(self, first: bytes, pieces: Iterator[bytes], send: Any) -> None:
        length = next((value for name, value in self._headers if name.lower() == "content-length"), "")
        data = first
        is_more = bool(first) and length != str(len(first))
        while is_more and not _is_gone(send):
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = await self._in_thread(next, pieces, b"")
            is_more = bool(data)
        await send({"type": "http.response.body", "body": data})

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is not empty; close what wants to be closed."""
    try:
        yield from filter(None, content)
    finally:
        if hasattr(content, "close"):
            content.close()


def _is_gone(send: Any) -> bool:
    return isinstance(send, Recorder) and bool(send.transport.is_closing())


def _cut(send: Any) -> None:
    if isinstance(send, Recorder):
        send.reset()


def environ_of(scope: Scope) -> Environ:
    """The WSGI environment of an ASGI request, without its body."""
    raw = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    address = raw + (f"?{query}" if query else "")
    host, port = scope["server"]
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": address,
        "REQUEST_URI": address,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        environ["wsgi.input_terminated"] = True
    return environ
