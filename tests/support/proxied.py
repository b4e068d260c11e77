"""Servers for tests of the proxy: Tornado applications, and peers that speak raw bytes, each on a loop of its own.

python -m support.proxied PORT        a proxy to a port of this machine, as a process; prints its own port
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from run_qarnot.page.streaming_proxy import StreamingProxyHandler
from run_qarnot.page.target_connection import Address

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Forwarding(StreamingProxyHandler):
    """Passes everything on, unchanged."""

    def initialize(self, address: Address) -> None:
        self.address = address

    async def prepare(self) -> None:
        await self.forward(self.address)


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def close(self) -> None:
        self.run(_cancel_others())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)
        self.loop.close()


@contextlib.contextmanager
def a_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()


@contextlib.contextmanager
def serving(app: Application, **options: Any) -> Iterator[int]:
    """Serve an application for the block; yields the port."""
    sockets = bind_sockets(0, LOOPBACK)

    async def start() -> HTTPServer:
        server = HTTPServer(app, **options)
        server.add_sockets(sockets)
        return server

    with a_loop() as loop:
        server = loop.run(start())
        try:
            yield sockets[0].getsockname()[1]
        finally:
            loop.loop.call_soon_threadsafe(server.stop)


@contextlib.contextmanager
def forwarding(address: Address, handler: type[Forwarding] = Forwarding, **settings: Any) -> Iterator[int]:
    """Run a proxy for the block; yields its port."""
    with serving(Application([("/.*", handler, {"address": address})], **settings)) as port:
        yield port


@contextlib.contextmanager
def peer(talk: Conversation) -> Iterator[int]:
    """Run a server that says what `talk` does; yields the port."""

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            await talk(reader, writer)

    with a_loop() as loop:
        server = loop.run(asyncio.start_server(welcome, LOOPBACK, 0))
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.loop.call_soon_threadsafe(server.close)


def exchange(port: int, request: bytes) -> bytes:
    """Send bytes, and return everything that comes back until the other side closes."""
    with socket.create_connection((LOOPBACK, port), timeout=20) as visitor:
        visitor.sendall(request)
        return b"".join(iter(lambda: visitor.recv(65536), b""))


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _proxy_process(target: int) -> None:
    sockets = bind_sockets(0, LOOPBACK)
    server = HTTPServer(Application([("/.*", Forwarding, {"address": (LOOPBACK, target)})]))
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_proxy_process(int(sys.argv[1])))
