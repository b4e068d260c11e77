"""Limits on time and size of whole answers over HTTP, for `requests` and for `botocore`.

Both have a time-out for each read of a socket, and none for a whole answer: a server that sends one byte a second, or
never stops sending, never runs into it. Here each answer has a deadline. When it has passed, a watchdog shuts down the
socket, which ends every wait for it: for the head, the body or TLS. The size of a body is limited too.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from run_qarnot.core.messages import Message, english

_CHECK_SECONDS = 0.2  # between two checks of the watchdog
_BLOCK = 1 << 16

_local = threading.local()  # .deadline: of the request that this thread is making


class AnswerLimitError(Exception):
    """An answer takes too long, or is too large; `problem` says which, as the end of a sentence."""

    def __init__(self, problem: Message) -> None:
        super().__init__(english(problem))
        self.problem = problem


class Deadline:
    """The time at which an answer must be complete, and the socket on which it arrives.

    Arguments:
        seconds: the time for the answer.
        from_sending: count from when the request was sent instead of from now; a large upload may take any time.
    """

    def __init__(self, seconds: float, *, from_sending: bool = False) -> None:
        self.is_over = False
        self._seconds = seconds
        self._socket: Any = None
        self.ends = float("inf") if from_sending else time.monotonic() + seconds

    def hold(self, connection_socket: Any) -> None:
        """Set the socket. The request has been sent, so that the time for the answer starts now."""
        self._socket = connection_socket
        if self.ends == float("inf"):
            self.ends = time.monotonic() + self._seconds

    def restart(self) -> None:
        """Start the time again, for the next part of the answer."""
        self.ends = time.monotonic() + self._seconds

    def end(self) -> None:
        """Shut down the socket; called by the watchdog."""
        self.is_over = True
        with contextlib.suppress(OSError, AttributeError):  # not connected yet, or just closed
            if isinstance(self._socket, socket.socket):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # below TLS, whose own shutdown would wait
            else:
                self._socket.shutdown(socket.SHUT_RDWR)


class _Watchdog:
    """A thread that shuts down the sockets of answers whose deadline has passed."""

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None or not self._thread.is_alive():  # a forked process has no copy of it
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._deadlines.discard(deadline)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._deadlines)
                now = time.monotonic()
                over = {deadline for deadline in self._deadlines if deadline.ends <= now}
                self._deadlines -= over
            for deadline in over:
                deadline.end()
            time.sleep(_CHECK_SECONDS)


_watchdog = _Watchdog()


@contextlib.contextmanager
def watching(deadline: Deadline) -> Iterator[None]:
    """Make a request, or read a part of its answer, before a deadline.

    Raises:
        AnswerLimitError: it took too long, whatever error resulted from that.
    """
    outer, _local.deadline = getattr(_local, "deadline", None), deadline
    _watchdog.add(deadline)
    try:
        yield
    except Exception as error:  # the watchdog closes the socket: whatever error results, the deadline caused it
        if deadline.is_over:
            raise AnswerLimitError(Message("timeout")) from error
        raise
    finally:
        _watchdog.remove(deadline)
        _local.deadline = outer
    if deadline.is_over:  # after a shutdown, a body without a length looks complete
        raise AnswerLimitError(Message("timeout"))


class _Watched:
    """Mixin for a connection of urllib3: passes its socket to the deadline of the request."""

    sock: Any

    def _tunnel(self) -> None:
        self._hold()
        super()._tunnel()  # type: ignore[misc]  # of http.client: asks a proxy to connect and reads its answer

    def getresponse(self, *arguments: Any, **named: Any) -> Any:
        self._hold()
        return super().getresponse(*arguments, **named)  # type: ignore[misc]

    def _hold(self) -> None:
        if (deadline := getattr(_local, "deadline", None)) is not None:
            deadline.hold(self.sock)


@functools.cache
def watched(pool: type) -> type:
    """Return a subclass of a connection pool of urllib3 whose connections have deadlines."""
    connection = pool.ConnectionCls  # type: ignore[attr-defined]
    kind = type(f"Watched{connection.__name__}", (_Watched, connection), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": kind})


class LimitedBody:
    """The body of an answer, as urllib3 returns it, with a limit on its bytes."""

    def __init__(self, raw: Any, most: int) -> None:
        self._raw = raw
        self._most = most

    def stream(self, amt: int = _BLOCK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield the body in pieces.

        Raises:
            AnswerLimitError: it is larger than the limit.
        """
        count = 0
        for piece in self._raw.stream(amt, decode_content):
            count += len(piece)
            if count > self._most:
                self._raw.close()
                raise AnswerLimitError(Message("answer-large"))
            yield piece

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Read `amt` bytes, or all; `requests` does this after `stream` failed."""
        data: bytes = self._raw.read(self._most + 1 if amt is None else amt, decode_content=decode_content)
        if len(data) > self._most:
            raise AnswerLimitError(Message("answer-large"))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class WatchedBody:
    """The body of a file, as urllib3 returns it: of any length, with a deadline for each read."""

    def __init__(self, raw: Any, deadline: Deadline) -> None:
        self._raw = raw
        self._deadline = deadline

    def read(self, *arguments: Any, **named: Any) -> Any:
        self._deadline.restart()
        with watching(self._deadline):
            return self._raw.read(*arguments, **named)

    def readinto(self, buffer: Any) -> Any:
        self._deadline.restart()
        with watching(self._deadline):
            return self._raw.readinto(buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
