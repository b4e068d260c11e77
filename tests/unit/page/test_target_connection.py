"""The proxy's side of its target: it is reached or not, and bytes are copied both ways."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from support.ports import free_port
from support.waiting import until
from tornado.httputil import HTTPHeaders, RequestStartLine
from tornado.iostream import IOStream, StreamClosedError

from run_qarnot.page.target_connection import TargetConnection, connect, splice

ADDRESS = "127.0.0.1"


def test_a_target_is_reached_by_port_and_by_unix_socket(tmp_path: Path) -> None:
    async def scene() -> None:
        with socket.create_server((ADDRESS, 0)) as by_port, socket.socket(socket.AF_UNIX) as by_path:
            by_path.bind(str(tmp_path / "s"))
            by_path.listen()
            for address in ((ADDRESS, by_port.getsockname()[1]), tmp_path / "s"):
                stream = await connect(address)
                assert not stream.closed()
                stream.close()

    asyncio.run(scene())


def test_nothing_that_listens_is_an_error_of_the_connection(tmp_path: Path) -> None:
    async def scene() -> None:
        for address in ((ADDRESS, free_port()), tmp_path / "none"):
            with pytest.raises((OSError, StreamClosedError)):
                await connect(address)

    asyncio.run(scene())


def test_spliced_connections_copy_both_ways_and_close_together() -> None:
    async def scene() -> None:
        (ours, visitor), (theirs, target) = socket.socketpair(), socket.socketpair()
        one, other = IOStream(ours), IOStream(theirs)
        splicing = asyncio.create_task(splice(one, other))
        with visitor, target:
            visitor.sendall(b"to the target")
            target.sendall(b"to the visitor")
            target.setblocking(False)
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(target, 100) == b"to the target"
            visitor.setblocking(False)
            assert await loop.sock_recv(visitor, 100) == b"to the visitor"
            visitor.close()
            await asyncio.wait_for(splicing, 5)
            assert one.closed()
            assert other.closed()
            assert await loop.sock_recv(target, 100) == b""

    asyncio.run(scene())


def test_a_request_is_chunked_exactly_when_its_headers_say_so() -> None:
    """Tornado itself decides by the method, and would send a GET's body without its length."""

    async def scene(headers: HTTPHeaders) -> bytes:
        with socket.create_server((ADDRESS, 0)) as server:
            stream = await connect((ADDRESS, server.getsockname()[1]))
            accepted, _ = server.accept()
        with accepted:
            target = TargetConnection(stream)
            await target.write_headers(RequestStartLine("GET", "/", "HTTP/1.1"), headers)
            await target.write(b"body")
            target.finish_request()
            assert target.has_request
            received = b""
            accepted.setblocking(False)
            loop = asyncio.get_running_loop()
            while b"body" not in received:
                received += await loop.sock_recv(accepted, 1000)
            target.close()
            await until(stream.closed, "the connection to be closed")
            return received

    plain = asyncio.run(scene(HTTPHeaders({"Content-Length": "4"})))
    chunked = asyncio.run(scene(HTTPHeaders({"Transfer-Encoding": "chunked"})))
    assert plain.endswith(b"\r\n\r\nbody")
    assert b"\r\n\r\n4\r\nbody\r\n" in chunked
