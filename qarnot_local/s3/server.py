"""A threaded HTTP server for a WSGI application that keeps connections alive and can be stopped without a trace.

Werkzeug's own closes each connection after one answer, and waits 10 ms before it does: not with S3 clients, who keep
ten connections and send thousands of requests (`reference/qarnot-platform.md` §0.13).
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import struct
from collections.abc import Iterable
from typing import IO, Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer

from qarnot_local.ports import listen
from qarnot_local.s3.requests import is_number

_DRAIN = 16 << 20  # an unread body longer than this costs the connection
_log = logging.getLogger(__name__)


class CutError(Exception):
    """Raised by the application: no (more) answer, the connection is to be reset."""


class Server(ThreadedWSGIServer):
    """`stop` leaves no thread: idle kept-alive connections are closed, then joined."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, application: Any, listener: socket.socket) -> None:
        self._connections: set[socket.socket] = set()
        with listener:  # werkzeug takes a copy; left to bind by itself, it exits when somebody has the port
            super().__init__("127.0.0.1", 0, application, handler=_Handler, fd=listener.fileno())

    def bind_again(self) -> None:
        """After a stop: listen on the same port. Does nothing while it listens."""
        if self.socket.fileno() == -1:
            self.socket = listen(self.port)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        self.shutdown()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers leave at once
    wbufsize = 1 << 16

    def log(self, type: str, message: str, *arguments: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing: addresses of requests carry signatures."""

    def handle_expect_100(self) -> bool:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wfile.flush()
        return True

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        if not is_number(environ.get("CONTENT_LENGTH") or "0"):  # nobody can say where the next request begins
            self.close_connection = True
            self._answer("400 Bad Request", [("Content-Length", "0")], [])
            return
        body: _Body | _Chunked
        if "wsgi.input_terminated" in environ:
            body = environ["wsgi.input"] = _Chunked(cast(IO[bytes], self.rfile))
        else:
            body = environ["wsgi.input"] = _Body(self.rfile, int(environ.get("CONTENT_LENGTH") or 0))
        status, headers = "500 Internal Server Error", [("Content-Length", "0")]

        def start_response(given_status: str, given_headers: list[tuple[str, str]], _: Any = None) -> Any:
            nonlocal status, headers
            status, headers = given_status, given_headers

        try:
            content = self.server.app(environ, start_response)
        except CutError:
            self._cut()
            return
        except Exception:  # a fault of the application costs one answer, not the server  # noqa: BLE001
            _log.exception("The storage failed on a %s request", self.command)
            content = [b""]
        try:
            self.close_connection = self.close_connection or body.is_too_long
            self._answer(status, headers, content)
            self.close_connection = self.close_connection or not body.drain()
        except CutError:
            self._cut()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        finally:
            if hasattr(content, "close"):
                content.close()

    def _cut(self) -> None:
        """Reset the connection: lingering for 0 seconds turns its close into a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _answer(self, status: str, headers: list[tuple[str, str]], content: Iterable[bytes]) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        names = {name.lower() for name, _ in headers}
        has_body = self.command != "HEAD" and int(code) >= 200 and int(code) not in {204, 304}
        is_chunked = has_body and "content-length" not in names
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:  # else the client sends its next request into a closing connection
            self.send_header("Connection", "close")
        self.end_headers()
        for data in content if has_body else ():
            if is_chunked and data:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            else:
                self.wfile.write(data)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


class _Body(io.RawIOBase):
    """A request's body: ends where it ends, although the connection goes on."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left)) if self._left else b""
        buffer[: len(data)] = data
        self._left = self._left - len(data) if data else 0
        return len(data)

    @property
    def is_too_long(self) -> bool:
        """Whether the rest is not worth reading: the connection must go instead."""
        return self._left > _DRAIN

    def drain(self) -> bool:
        """Read what the application left; False when there is too much of it."""
        while not self.is_too_long and self.read(1 << 16):
            pass
        return not self.is_too_long


class _Chunked(DechunkedInput):
    """The same for a body whose end is only found by reading it."""

    is_too_long = False

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except ConnectionError:
            raise
        except OSError as error:  # werkzeug's word for malformed chunks: the client's mistake
            raise ValueError(str(error)) from error

    def drain(self) -> bool:
        left = _DRAIN
        with contextlib.suppress(ValueError):  # malformed, so nobody knows where the next request begins
            while left > 0 and (data := self.read(1 << 16)):
                left -= len(data)
        return self._done
