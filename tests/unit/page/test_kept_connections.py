"""Idle connections: given away while they are open, and closed when they are of no use."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from support.waiting import until
from tornado.iostream import IOStream

from run_qarnot.page import kept_connections
from run_qarnot.page.kept_connections import KeptConnections

Pair = tuple[IOStream, socket.socket]


@contextlib.contextmanager
def pairs(count: int) -> Iterator[list[Pair]]:
    """Some connections; of each our end, and that of the server."""
    made = [socket.socketpair() for _ in range(count)]
    streams = [(IOStream(ours), theirs) for ours, theirs in made]
    try:
        yield streams
    finally:
        for stream, theirs in streams:
            stream.close()
            theirs.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_last_one_is_given_away_first_and_each_once() -> None:
    async def test() -> None:
        kept = KeptConnections()
        with pairs(2) as ((first, _), (second, _)):
            kept.keep(first)
            kept.keep(second)
            assert [kept.take(), kept.take(), kept.take()] == [second, first, None]
            assert not first.closed()

    run(test)


def test_one_that_the_server_closes_is_forgotten() -> None:
    async def test() -> None:
        kept = KeptConnections()
        with pairs(1) as ((stream, server),):
            kept.keep(stream)
            server.close()
            await until(lambda: len(kept) == 0, "the closed one to be dropped")
            assert kept.take() is None

    run(test)


def test_one_with_more_to_read_is_not_used_again() -> None:
    """It would be taken for the answer to the next request."""

    async def test() -> None:
        kept = KeptConnections()
        with pairs(1) as ((stream, server),):
            kept.keep(stream)
            server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            await until(lambda: stream._read_buffer_size > 0, "the bytes to arrive")
            assert kept.take() is None
            assert stream.closed()

    run(test)


def test_old_ones_and_too_many_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        kept = KeptConnections()
        with pairs(kept_connections._MOST + 1) as made:
            for stream, _ in made:
                kept.keep(stream)
            assert [stream.closed() for stream, _ in made].count(True) == 1
            assert made[0][0].closed()
            kept.close()
            assert all(stream.closed() for stream, _ in made)
        monkeypatch.setattr(kept_connections, "_IDLE_SECONDS", -1.0)
        with pairs(1) as ((stream, _),):
            kept.keep(stream)
            assert kept.take() is None
            assert stream.closed()

    run(test)
