"""Answers over HTTP that end in time and fit into memory, for `requests` and for `botocore`.

Both know a time-out for each read of a socket, and none for a whole answer: a server that sends one byte a second, or
sends for ever, is never in trouble. Here each answer has a moment by which it must be complete. A watchdog then shuts
its socket, which ends whatever waits for it: the head, the body, TLS. And a body may have so many bytes.
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

_LOOK_SECONDS = 0.2  # how exact the watchdog is
_BLOCK = 1 << 16

_local = threading.local()  # .watch: of the request that this thread is making


class AnswerLimitError(Exception):
    """An answer takes too long, or is too large; `problem` says which, as the end of a sentence."""

    def __init__(self, problem: Message) -> None:
        super().__init__(english(problem))
        self.problem = problem


class BatchedPoller:
    """One answer: when it must be complete, and the socket on which it comes.

    Arguments:
        seconds: from now on, or from when the request was sent.
        from_sending: what is sent may be large, and take any time.
    """

    def __init__(self, seconds: float, *, from_sending: bool = False) -> None:
        self.is_over = False
        self._seconds = seconds
        self._socket: Any = None
        self.ends = float("inf") if from_sending else time.monotonic() + seconds

    def hold(self, connection_socket: Any) -> None:
        """Take note of the socket; the answer is awaited from now on."""
        self._socket = connection_socket
        if self.ends == float("inf"):
            self.ends = time.monotonic() + self._seconds

    def restart(self) -> None:
        """Give the next part of the answer as much time."""
        self.ends = time.monotonic() + self._seconds

    def end(self) -> None:
        """Shut the socket; called by the watchdog."""
        self.is_over = True
        with contextlib.suppress(OSError, AttributeError):  # not connected yet, or closed just now
            if isinstance(self._socket, socket.socket):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS: without its farewell
            else:
                self._socket.shutdown(socket.SHUT_RDWR)


class _Watchdog:
    """One thread, which ends what is over."""

    def __init__(self) -> None:
        self._watches: set[BatchedPoller] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, watch: BatchedPoller) -> None:
        with self._changed:
            self._watches.add(watch)
            if self._thread is None or not self._thread.is_alive():  # it is not there in a process that was forked
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, watch: BatchedPoller) -> None:
        with self._changed:
            self._watches.discard(watch)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._watches)
                now = time.monotonic()
                over = {watch for watch in self._watches if watch.ends <= now}
                self._watches -= over
            for watch in over:
                watch.end()
            time.sleep(_LOOK_SECONDS)


_watchdog = _Watchdog()


@contextlib.contextmanager
def watching(watch: BatchedPoller) -> Iterator[None]:
    """Make a request, or read a part of its answer, under watch.

    Raises:
        AnswerLimitError: it took too long, whatever came out of that.
    """
    outer, _local.watch = getattr(_local, "watch", None), watch
    _watchdog.add(watch)
    try:
        yield
    except Exception as error:
        if watch.is_over:
            raise AnswerLimitError(Message("timeout")) from error
        raise
    finally:
        _watchdog.remove(watch)
        _local.watch = outer
    if watch.is_over:  # a socket that is shut looks like the end of a body that does not say how long it is
        raise AnswerLimitError(Message("timeout"))


class _Watched:
    """Mixed into a connection of urllib3: tells the watch of the request which socket it is."""

    sock: Any

    def _tunnel(self) -> None:
        self._hold()
        super()._tunnel()  # type: ignore[misc]  # of http.client: asks a proxy to connect, and reads its answer

    def getresponse(self, *arguments: Any, **named: Any) -> Any:
        self._hold()
        return super().getresponse(*arguments, **named)  # type: ignore[misc]

    def _hold(self) -> None:
        if (watch := getattr(_local, "watch", None)) is not None:
            watch.hold(self.sock)


@functools.cache
def watched(pool: type) -> type:
    """Return a kind of urllib3's connection pools whose connections are watched."""
    connection = pool.ConnectionCls  # type: ignore[attr-defined]
    kind = type(f"Watched{connection.__name__}", (_Watched, connection), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": kind})


class LimitedBody:
    """The body of an answer as urllib3 gives it, which may have so many bytes."""

    def __init__(self, raw: Any, most: int) -> None:
        self._raw = raw
        self._most = most

    def stream(self, amt: int = _BLOCK, decode_content: bool | None = None) -> Iterator[bytes]:
        """Yield it in pieces.

        Raises:
            AnswerLimitError: there is too much of it.
        """
        count = 0
        for piece in self._raw.stream(amt, decode_content):
            count += len(piece)
            if count > self._most:
                self._raw.close()
                raise AnswerLimitError(Message("answer-large"))
            yield piece

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        """Read some of it, or all; `requests` does so where `stream` failed."""
        data: bytes = self._raw.read(self._most + 1 if amt is None else amt, decode_content=decode_content)
        if len(data) > self._most:
            raise AnswerLimitError(Message("answer-large"))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class WatchedBody:
    """The body of a file as urllib3 gives it: of any length, but each read of it ends in time."""

    def __init__(self, raw: Any, watch: BatchedPoller) -> None:
        self._raw = raw
        self._watch = watch

    def read(self, *arguments: Any, **named: Any) -> Any:
        self._watch.restart()
        with watching(self._watch):
            return self._raw.read(*arguments, **named)

    def readinto(self, buffer: Any) -> Any:
        self._watch.restart()
        with watching(self._watch):
            return self._raw.readinto(buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
