"""A network that goes wrong on demand: a proxy between a storage and its client, which understands the HTTP of both.

with HostileProxy(cluster.storage_url) as proxy:
    proxy.trouble("PUT", how=answer(503, "SlowDown"), times=2)
    proxy.cut_after(50_000_000)       # bytes of request bodies; then nothing passes until `heal`
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

_BLOCK = 1 << 14
_PATIENCE_SECONDS = 5.0


class _CutError(Exception):
    """The connection is to be broken, now."""


@dataclass
class Call:
    """One request as it was asked, and how much of it has passed: what is still on its way counts for it alone."""

    method: str
    path: str  # with the query, decoded
    head: str = field(default="", repr=False)
    received: int = 0  # bytes of its body
    answered: int = 0  # bytes of the answer's body
    is_answered: bool = False  # the storage has begun to answer: what was asked for is done

    def is_of(self, method: str, path: str) -> bool:
        return self.method == method and bool(re.search(path, self.path))


@dataclass
class How:
    """What happens to a request. Several may be combined."""

    status: int | None = None  # answered by the proxy, with this S3 error code
    code: str = ""
    cut_request_at: int | None = None  # bytes of the body that pass before the connection breaks
    cut_answer_at: int | None = None
    gently: bool = False  # what was sent before the cut arrives; else a reset may take it back
    flip_request_at: int | None = None  # the byte of the body that arrives changed
    flip_answer_at: int | None = None
    lose_answer: bool = False  # the storage does it, and nobody hears of it
    hang: bool = False  # nothing is heard until the proxy closes
    seconds: float = 0.0  # before anything is passed on
    before: Callable[[], object] = lambda: None  # is called before the request is passed on
    instead: Callable[[socket.socket, threading.Event], object] | None = None  # answers; the event: it is over

    def __str__(self) -> str:
        """What is out of the ordinary: the same in every process, as the names of tests must be."""
        unusual = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return (
            " ".join(f"{name}={getattr(self, name)}" for name in unusual if name not in {"before", "instead"})
            or "nothing"
        )


def answer(status: int, code: str) -> How:
    return How(status=status, code=code)


def says(body: bytes, status: int = 200, head: str = "Content-Type: application/json") -> How:
    """Give this answer."""

    def write(client: socket.socket, _: threading.Event) -> None:
        first = f"HTTP/1.1 {status} Status\r\n{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        client.sendall(first.encode() + body)

    return How(instead=write)


def drips(begin: bytes, drop: bytes, seconds: float = 0.2) -> How:
    """Begin an answer, and go on with it drop by drop for ever."""

    def write(client: socket.socket, closing: threading.Event) -> None:
        client.sendall(begin)
        while not closing.wait(seconds):
            client.sendall(drop)

    return How(instead=write)


def never_ends(begin: bytes, block: bytes) -> How:
    """Begin an answer, and go on with it as fast as it is read, for ever."""

    def write(client: socket.socket, closing: threading.Event) -> None:
        client.sendall(begin)
        while not closing.is_set():
            client.sendall(block)

    return How(instead=write)


@dataclass
class _Trouble:
    method: str
    path: re.Pattern[str]
    how: How
    left: int
    skip: int


@dataclass
class HostileProxy:
    target: str
    calls: list[Call] = field(default_factory=list)  # since the last `heal`

    def __post_init__(self) -> None:
        place = urlsplit(self.target)
        self._target = (place.hostname or "127.0.0.1", place.port or 80)
        self._troubles: list[_Trouble] = []
        self._lock = threading.Lock()
        self._budget: float = float("inf")
        self._is_down = False
        self._closing = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> HostileProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.close()
        self._break_all()

    def trouble(self, method: str, path: str = "", *, how: How, times: int = 1, skip: int = 0) -> None:
        """Have the next requests that match meet trouble; `path` is looked for as a pattern in path and query."""
        with self._lock:
            self._troubles.append(_Trouble(method, re.compile(path), how, times, skip))

    def cut_after(self, count: int) -> None:
        """Break all connections, and let no new one through, when so many more bytes of request bodies have passed."""
        with self._lock:
            self._budget = count

    def heal(self) -> None:
        """Let everything through again, and count from zero."""
        with self._lock:
            self._budget, self._is_down, self._troubles = float("inf"), False, []
            self.calls = []

    def count(self, method: str, path: str = "") -> int:
        """How many requests were asked that match."""
        return sum(call.is_of(method, path) for call in self.calls)

    def received(self, method: str, path: str = "") -> int:
        """How many bytes of the bodies of requests that match have passed."""
        return sum(call.received for call in self.calls if call.is_of(method, path))

    def answered(self, method: str, path: str = "") -> int:
        """How many bytes of the bodies of answers to requests that match have passed."""
        return sum(call.answered for call in self.calls if call.is_of(method, path))

    # — the plumbing —

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_down:
                _reset(client)
            else:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        self._sockets |= {client, server}
        try:
            with client.makefile("rb") as asked, server.makefile("rb") as said:
                while self._pass_on(client, asked, server, said):
                    pass
        except (OSError, _CutError, ValueError):
            pass
        finally:
            for each in (client, server):
                self._sockets.discard(each)
                _reset(each)

    def _pass_on(self, client: socket.socket, asked: BinaryIO, server: socket.socket, said: BinaryIO) -> bool:
        head = _head(asked)
        if not head:
            return False
        method, path, _ = head[0].decode().split(" ", 2)
        call = Call(method, unquote(path), b"\n".join(head).decode(errors="replace"))
        how = self._how(call)
        how.before()
        self._closing.wait(how.seconds)
        if how.hang:
            self._closing.wait()
        if how.instead is not None:
            asked.read(int(_value(head, b"content-length") or 0))
            how.instead(client, self._closing)
            _let_arrive(client)
            return False
        if how.status is not None:  # before the body: as a storage does that a client waits for with Expect
            _refuse(client, how)
            return False
        if "100-continue" in _value(head, b"expect").lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = [line for line in head if not line.lower().startswith(b"expect:")]
        server.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        self._pass_request(asked, server, int(_value(head, b"content-length") or 0), how, call)
        return self._pass_answer(said, client, how, call)

    def _pass_request(self, asked: BinaryIO, server: socket.socket, length: int, how: How, call: Call) -> None:
        passed = 0
        while passed < length:
            if how.cut_request_at is not None and passed >= how.cut_request_at:
                raise _CutError
            data = _changed(asked.read(min(_BLOCK, length - passed)), passed, how.flip_request_at)
            if not data:
                raise _CutError
            self._spend(len(data), call)
            server.sendall(data)
            passed += len(data)

    def _pass_answer(self, said: BinaryIO, client: socket.socket, how: How, call: Call) -> bool:
        if not (head := _head(said)):
            raise _CutError
        call.is_answered = True
        status = int(head[0].split(b" ")[1])
        if how.lose_answer:
            raise _CutError
        client.sendall(b"\r\n".join(head) + b"\r\n\r\n")
        if call.method == "HEAD" or status in {204, 304}:
            return True
        length, passed = int(_value(head, b"content-length") or 0), 0
        if "chunked" in _value(head, b"transfer-encoding"):
            while size := said.readline():
                data = said.read(int(size, 16))
                client.sendall(size + _changed(data, passed, how.flip_answer_at) + said.read(2))
                passed += len(data)
                if not data:
                    return True
        while passed < length:
            if how.cut_answer_at is not None and passed >= how.cut_answer_at:
                if how.gently:
                    _let_arrive(client)
                raise _CutError
            data = _changed(said.read(min(_BLOCK, length - passed)), passed, how.flip_answer_at)
            if not data:
                raise _CutError
            call.answered += len(data)  # before it is sent: who has read it all may ask for the count at once
            client.sendall(data)
            passed += len(data)
        return True

    def _how(self, call: Call) -> How:
        with self._lock:
            self.calls.append(call)
            for trouble in self._troubles:
                if trouble.left and call.method == trouble.method and trouble.path.search(call.path):
                    if trouble.skip:
                        trouble.skip -= 1
                        continue
                    trouble.left -= 1
                    return trouble.how
        return How()

    def _spend(self, count: int, call: Call) -> None:
        with self._lock:
            self._budget -= count
            is_over = self._budget < 0
        if not is_over:
            call.received += count
        if is_over:
            self._is_down = True
            self._break_all()
            raise _CutError

    def _break_all(self) -> None:
        for each in list(self._sockets):
            _reset(each)


def _head(stream: BinaryIO) -> list[bytes]:
    lines: list[bytes] = []
    while (line := stream.readline().rstrip(b"\r\n")) or not lines:
        if not line:
            return []
        lines.append(line)
    return lines


def _value(head: list[bytes], name: bytes) -> str:
    found = (line.split(b":", 1)[1].strip().decode() for line in head[1:] if line.lower().startswith(name + b":"))
    return next(found, "")


def _changed(data: bytes, start: int, place: int | None) -> bytes:
    if place is None or not start <= place < start + len(data):
        return data
    changed = bytearray(data)
    changed[place - start] ^= 1
    return bytes(changed)


def _refuse(client: socket.socket, how: How) -> None:
    body = f"<?xml version='1.0'?><Error><Code>{how.code}</Code><Message>{how.code}</Message></Error>".encode()
    head = f"HTTP/1.1 {how.status} No\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    client.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
    client.shutdown(socket.SHUT_WR)
    while client.recv(_BLOCK):  # what was sent meanwhile: closing over it would take the answer back
        pass


def _let_arrive(client: socket.socket) -> None:
    """End the sending, and wait until the client has seen that: a reset would take back what it has not read yet."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(_PATIENCE_SECONDS)
        while client.recv(_BLOCK):
            pass


def _reset(each: socket.socket) -> None:
    """Break a connection as a network does: without a farewell."""
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        each.shutdown(socket.SHUT_RDWR)
    each.close()
