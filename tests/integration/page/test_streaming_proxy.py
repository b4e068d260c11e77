"""The streaming proxy, over real connections: every byte as it was sent, both ways, at any size."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.proxied import LOOPBACK, Forwarding, a_loop, exchange, forwarding, peer, serving
from support.repository import ROOT
from support.waiting import wait_until
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler
from websocket import WebSocketConnectionClosedException, create_connection

from run_qarnot.page import streaming_proxy
from run_qarnot.page.kept_connections import KeptConnections
from run_qarnot.page.streaming_proxy import BodyRewriter
from run_qarnot.page.target_connection import Address

MB = 1024 * 1024
BLOCK = bytes(range(256)) * 256  # 64 KB
_STILL = 25  # looks at something that does not move, half a second in all


# the server behind the proxy


@stream_request_body
class Count(RequestHandler):
    """Counts what it is sent, and says what it was asked."""

    def prepare(self) -> None:
        self.request.connection.set_max_body_size(1 << 40)  # type: ignore[union-attr]
        self.received = 0

    def data_received(self, chunk: bytes) -> None:
        self.received += len(chunk)

    def answer(self) -> None:
        self.write({"method": self.request.method, "uri": self.request.uri, "received": self.received,
                    "headers": sorted(self.request.headers.get_all())})  # fmt: skip

    get = post = put = patch = delete = options = answer

    def head(self) -> None:
        self.set_header("Content-Length", "12345")


class Download(RequestHandler):
    async def get(self, megabytes: str) -> None:
        if self.get_argument("length", ""):
            self.set_header("Content-Length", str(int(megabytes) * MB))
        for _ in range(int(megabytes) * MB // len(BLOCK)):
            self.write(BLOCK)
            await self.flush()


class Status(RequestHandler):
    def get(self, status: str) -> None:
        self.set_status(int(status), "As The Target Says")
        if int(status) == 304:
            self.set_header("Etag", '"tag"')
        elif int(status) != 204:
            self.write("body")


class Page(RequestHandler):
    def get(self) -> None:
        body = (self.get_argument("text", "old") * int(self.get_argument("times", "1"))).encode()
        self.set_header("Content-Type", "text/html")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            body = gzip.compress(body, 0)
        self.finish(body)

    head = get


class Part(RequestHandler):
    def get(self) -> None:
        first, last = map(int, self.request.headers["Range"].removeprefix("bytes=").split("-"))
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {first}-{last}/{len(BLOCK)}")
        self.finish(BLOCK[first : last + 1])


class Echo(WebSocketHandler):
    def check_origin(self, origin: str) -> bool:
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return next((name for name in subprotocols if name.startswith("v2")), None)

    def open(self, *args: str, **kwargs: str) -> None:
        if self.get_argument("close", ""):
            self.close(4001, "as asked")

    def get_compression_options(self) -> dict[str, Any]:
        return {}

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


@pytest.fixture(scope="module")
def target() -> Iterator[int]:
    app = Application(
        [("/count.*", Count), (r"/download/(\d+)", Download), (r"/status/(\d+)", Status), ("/page", Page),
         ("/part", Part), ("/echo", Echo)],
        websocket_max_message_size=64 * MB,
    )  # fmt: skip
    with serving(app) as port:
        yield port


@pytest.fixture(scope="module")
def proxy(target: int) -> Iterator[int]:
    with forwarding((LOOPBACK, target), compress_response=True, xsrf_cookies=False) as port:
        yield port


class Client(http.client.HTTPConnection):
    """A visitor whose connection is closed with the block."""

    def __init__(self, port: int) -> None:
        super().__init__(LOOPBACK, port, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        self.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return self.getresponse()


def get(port: int, path: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    with Client(port) as client:
        answer = client.ask("GET", path, **headers)
        return answer.status, answer.headers, answer.read()


def received(request: bytes) -> bytes:
    """Send raw bytes through a proxy; return what its target was sent, which is one whole request."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        if b"Transfer-Encoding: chunked" in heard[0]:
            heard.append(await reader.readuntil(b"0\r\n\r\n"))
        elif length := re.search(rb"Content-Length: (\d+)", heard[0]):
            heard.append(await reader.readexactly(int(length[1])))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        heard.append(await reader.read())

    with (
        peer(listen) as target,
        forwarding((LOOPBACK, target)) as port,
        socket.create_connection((LOOPBACK, port), timeout=20) as visitor,
    ):
        visitor.sendall(request)
        answer = b""
        while not answer.endswith(b"ok"):
            answer += visitor.recv(1000)
    return b"".join(heard)


# heads


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/count", "/count/a%2Fb/%C3%A9?x=1&y=a%20b&x=2", "/count?", "/count//a/../b"])
def test_method_path_and_query_arrive_as_they_are(proxy: int, method: str, path: str) -> None:
    with Client(proxy) as client:
        answer = client.ask(method, path, b"12345" if method != "GET" else None)
        body = answer.read().decode()
    assert f'"method": "{method}"' in body
    assert f'"uri": "{path}"' in body
    assert f'"received": {0 if method == "GET" else 5}' in body


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_body_is_framed_for_every_method(proxy: int, method: str, chunked: bool) -> None:
    """What is not framed would be read as another request."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with Client(proxy) as client:
        answer = client.ask(method, "/count", iter([body]) if chunked else body)
        assert f'"received": {len(body)}' in answer.read().decode()


@pytest.mark.parametrize("status", [200, 201, 204, 304, 404, 418, 500, 599])
def test_status_reason_and_body_come_back(proxy: int, status: int) -> None:
    with Client(proxy) as client:
        for _ in range(2):  # the connection can be used again
            answer = client.ask("GET", f"/status/{status}")
            body = answer.read()
            assert (answer.status, answer.reason) == (status, "As The Target Says")
            assert body == (b"" if status in {204, 304} else b"body")


def test_head_has_the_length_and_no_body(proxy: int) -> None:
    with Client(proxy) as client:
        answer = client.ask("HEAD", "/count")
        assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, "12345", b"")
        assert client.ask("GET", "/status/200").read() == b"body"


def test_range_and_gzip_are_left_alone(proxy: int) -> None:
    status, headers, body = get(proxy, "/part", Range="bytes=10-19")
    assert (status, headers["Content-Range"], body) == (206, f"bytes 10-19/{len(BLOCK)}", BLOCK[10:20])
    _, headers, body = get(proxy, "/page?text=hello", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == b"hello"
    _, headers, body = get(proxy, "/page?times=1000", Accept_Encoding="identity")
    assert headers["Content-Encoding"] is None
    assert body == b"old" * 1000


def test_only_headers_of_the_target_come_back() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 Fine\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: close, X-Private\r\n"
            b"X-Private: 1\r\nKeep-Alive: 5\r\nContent-Length: 2\r\n\r\nok"
        )

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        answer = exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, body = answer.split(b"\r\n\r\n")
    assert sorted(head.split(b"\r\n")) == [
        b"Connection: close", b"Content-Length: 2", b"HTTP/1.1 200 Fine", b"Set-Cookie: a=1", b"Set-Cookie: b=2",
    ]  # fmt: skip
    assert body == b"ok"


def test_hop_by_hop_headers_stay_here() -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close, x-private\r\nX-Private: 1\r\nKeep-Alive: 5\r\n"
        b"TE: trailers\r\nProxy-Authorization: Basic x\r\nUpgrade: h2c\r\n"
        b"X-Kept: a\r\nX-Kept: b\r\nContent-Length: 2\r\n\r\nok"
    )
    head, body = received(request).split(b"\r\n\r\n")
    assert sorted(head.split(b"\r\n")) == [
        b"Connection: close", b"Content-Length: 2", b"Host: x", b"POST / HTTP/1.1", b"X-Kept: a", b"X-Kept: b",
    ]  # fmt: skip
    assert body == b"ok"


# requests that two servers could read in two ways


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: 4, 5",
        b"Content-Length: +4",
        b"Content-Length: 0x4",
        b"Content-Length : 4",
        b"Transfer-Encoding : chunked",
    ],
)
def test_contradicting_lengths_reach_no_target(headers: bytes) -> None:
    reached = threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        answer = exchange(
            port, b"POST / HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        )
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
    assert not reached.is_set()


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\nok",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 300_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["two lengths", "length and chunks", "unasked upgrade", "NUL", "SSH", "long header", "nothing"],
)
def test_what_is_no_answer_becomes_a_502(reply: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port, Client(port) as client:
        answer = client.ask("GET", "/")
        assert (answer.status, answer.headers["Retry-After"]) == (502, "2")
        assert b"does not answer" in answer.read()


# bodies


def test_expect_100_continue_is_answered_before_the_body_is_sent(proxy: int) -> None:
    with socket.create_connection((LOOPBACK, proxy), timeout=20) as visitor:
        visitor.sendall(b"POST /count HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert visitor.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        visitor.sendall(b"12345")
        answer = visitor.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"Expect" not in answer


@pytest.mark.parametrize("length", ["1", ""])
def test_an_answer_of_any_length_comes_whole(proxy: int, length: str) -> None:
    with Client(proxy) as client:
        answer = client.ask("GET", f"/download/30?length={length}")
        assert answer.headers["Transfer-Encoding"] == (None if length else "chunked")
        assert answer.read() == BLOCK * (30 * MB // len(BLOCK))


def test_an_old_server_and_an_old_client_end_a_body_with_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + BLOCK)

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        assert exchange(port, b"GET / HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)[1] == BLOCK
        assert get(port, "/")[2] == BLOCK


@pytest.mark.parametrize("head", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_half_an_answer_does_not_look_like_a_whole_one(head: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n5\r\nhello\r\n")

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port, pytest.raises(http.client.IncompleteRead):
        get(port, "/")


def test_an_answer_may_come_before_the_request_is_complete() -> None:
    """It is shown at once; the rest of the request is taken, because browsers send all of it before they look."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        with socket.create_connection((LOOPBACK, port), timeout=20) as visitor:
            visitor.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 1_000_000)
            assert visitor.recv(1000).startswith(b"HTTP/1.1 413 Too Large")
        with Client(port) as client:
            answer = client.ask("PUT", "/", b"x" * 20_000_000)
            assert (answer.status, answer.read()) == (413, b"big")


def test_a_question_and_its_answer_may_flow_at_the_same_time() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            writer.write(await reader.readexactly(1))

    with (
        peer(talk) as target,
        forwarding((LOOPBACK, target)) as port,
        socket.create_connection((LOOPBACK, port), timeout=20) as visitor,
    ):
        visitor.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert visitor.recv(1000).startswith(b"HTTP/1.1 200 OK")
        for digit in b"0123456789":
            visitor.sendall(bytes([digit]))
            assert visitor.recv(1) == bytes([digit])


def test_nobody_there_is_a_502_that_says_when_to_try_again(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    for address in ((LOOPBACK, port), tmp_path / "none.sock"):
        with forwarding(address) as proxy, Client(proxy) as client:
            for body in (None, b"x" * 5_000_000):
                answer = client.ask("PUT" if body else "GET", "/", body)
                assert (answer.status, answer.headers["Retry-After"]) == (502, "2")
                assert b"does not answer" in answer.read()
            expecting = b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
            assert exchange(proxy, expecting).startswith(b"HTTP/1.1 502")


def test_it_leads_to_a_unix_socket_too(tmp_path: Path) -> None:
    async def start() -> HTTPServer:
        server = HTTPServer(Application([("/count", Count)]))
        server.add_socket(bind_unix_socket(str(tmp_path / "s")))
        return server

    with a_loop() as loop:
        server = loop.run(start())
        with forwarding(tmp_path / "s") as port:
            assert get(port, "/count?x")[0] == 200
        loop.loop.call_soon_threadsafe(server.stop)


# one side breaks off


class Gone:
    """A target that answers with much, or reads little, and knows when the other side has gone."""

    def __init__(self) -> None:
        self.came, self.left = threading.Event(), threading.Event()

    async def download(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        await self._until_error(writer)

    async def silence(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.came.set()
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                pass
        self.left.set()

    async def _until_error(self, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(BLOCK)
                await writer.drain()
                self.came.set()
        finally:
            self.left.set()


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\npart",
])  # fmt: skip
def test_who_waits_and_leaves_ends_the_question(request_bytes: bytes) -> None:
    gone = Gone()
    with peer(gone.silence) as target, forwarding((LOOPBACK, target)) as port:
        with socket.create_connection((LOOPBACK, port)) as visitor:
            visitor.sendall(request_bytes)
            assert gone.came.wait(20)
        assert gone.left.wait(20)


def test_who_leaves_a_download_ends_it() -> None:
    gone = Gone()
    with peer(gone.download) as target, forwarding((LOOPBACK, target)) as port:
        with socket.create_connection((LOOPBACK, port)) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            visitor.recv(100_000)
        assert gone.left.wait(20)


# websockets


def connect(port: int, path: str = "/echo", **options: Any) -> Any:
    return create_connection(f"ws://{LOOPBACK}:{port}{path}", timeout=30, **options)


@pytest.mark.parametrize(("offered", "chosen"), [(["v1.x", "v2.y"], "v2.y"), (["v2.a", "v2.b"], "v2.a"), (None, None)])
def test_the_target_chooses_the_subprotocol(proxy: int, offered: list[str] | None, chosen: str | None) -> None:
    with contextlib.closing(connect(proxy, subprotocols=offered)) as connection:
        assert connection.subprotocol == chosen
        connection.send("é")
        assert connection.recv() == "é"


def test_extensions_are_between_visitor_and_target(proxy: int) -> None:
    wanted = connect(proxy, header=["Sec-WebSocket-Extensions: permessage-deflate"])
    with contextlib.closing(wanted) as connection:
        assert "permessage-deflate" in connection.getheaders()["sec-websocket-extensions"]


def test_messages_have_no_limit(proxy: int) -> None:
    message = os.urandom(30 * MB)
    with contextlib.closing(connect(proxy)) as connection:
        connection.send_binary(message)
        assert connection.recv() == message


def test_a_close_code_arrives_and_both_sides_end(proxy: int) -> None:
    with contextlib.closing(connect(proxy, "/echo?close=1")) as connection:
        opcode, data = connection.recv_data()
        assert (opcode, data) == (8, (4001).to_bytes(2, "big") + b"as asked")
        with pytest.raises((WebSocketConnectionClosedException, ConnectionError)):
            connection.recv()


def test_an_upgrade_that_is_refused_is_an_ordinary_answer(proxy: int) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    with Client(proxy) as client:
        assert client.ask("GET", "/status/418", **upgrade).read() == b"body"
        assert b'"uri": "/count"' in client.ask("GET", "/count", **upgrade).read()
        assert client.ask("GET", "/status/200").read() == b"body"


def test_what_follows_the_handshake_at_once_is_not_lost() -> None:
    """Frames may come in one packet with the head, from both sides."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: any\r\nConnection: Upgrade\r\n\r\nwelcome")
        assert await reader.readexactly(5) == b"early"
        writer.write(b"+")

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        answer = exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: any\r\n\r\nearly")
    head, body = answer.split(b"\r\n\r\n")
    assert b"Upgrade: any" in head
    assert body == b"welcome+"


def test_who_leaves_a_websocket_ends_it() -> None:
    left = threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: any\r\nConnection: Upgrade\r\n\r\n")
        await reader.read()
        left.set()

    with peer(talk) as target, forwarding((LOOPBACK, target)) as port:
        with socket.create_connection((LOOPBACK, port)) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: any\r\n\r\n")
            assert visitor.recv(1000).startswith(b"HTTP/1.1 101")
        assert left.wait(20)


# hooks


class Rewriting(Forwarding):
    ends = 0

    def rewrite_request(self, headers: HTTPHeaders) -> str:
        headers["X-Added"] = "by us"
        return (self.request.uri or "").replace("/outer", "")

    def rewrite_response(self, status: int, headers: HTTPHeaders) -> None:
        headers["X-Status"] = str(status)

    def make_body_rewriter(self, status: int, headers: HTTPHeaders) -> BodyRewriter | None:
        def rewrite(body: bytes) -> bytes:
            if headers.pop("Content-Encoding", "") == "gzip":
                body = gzip.decompress(body)
            return body.replace(b"old", b"quite new")

        return rewrite if headers.get("Content-Type") == "text/html" else None

    def on_forward_end(self) -> None:
        type(self).ends += 1


@pytest.fixture
def rewriting(target: int) -> Iterator[int]:
    Rewriting.ends = 0
    with forwarding((LOOPBACK, target), Rewriting) as port:
        yield port


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_heads_and_small_bodies_can_be_rewritten(rewriting: int, coding: str) -> None:
    status, headers, body = get(rewriting, "/outer/page", Accept_Encoding=coding)
    assert (status, headers["X-Status"], body) == (200, "200", b"quite new")
    assert headers["Content-Length"] == "9"
    assert b"by us" in get(rewriting, "/outer/count")[2]
    with Client(rewriting) as client:
        answer = client.ask("HEAD", "/outer/page")
        assert (answer.status, answer.read(), answer.headers["Content-Length"]) == (200, b"", None)


def test_a_body_that_is_too_long_to_rewrite_is_streamed(rewriting: int) -> None:
    times = streaming_proxy.MAX_REWRITTEN_BYTES // 3 + 1
    for coding in ("gzip", "identity"):
        _, headers, body = get(rewriting, f"/page?times={times}", Accept_Encoding=coding)
        if headers["Content-Encoding"]:
            body = gzip.decompress(body)
        assert body == b"old" * times


def test_the_end_is_told_once_whatever_happens(rewriting: int) -> None:
    get(rewriting, "/count")
    wait_until(lambda: Rewriting.ends == 1, "the end of a request")
    connection = connect(rewriting)
    assert connection.getheaders()["x-status"] == "101"
    connection.send("x")
    assert connection.recv() == "x"
    assert Rewriting.ends == 1
    connection.close()
    wait_until(lambda: Rewriting.ends == 2, "the end of a websocket")
    with forwarding((LOOPBACK, 9), Rewriting) as nowhere:
        get(nowhere, "/")
    wait_until(lambda: Rewriting.ends == 3, "the end of a request that reached nobody")


# many, and much


# connections that are used again


class Keeping(Forwarding):
    """Keeps its connections to the target."""

    def initialize(self, address: Address) -> None:
        super().initialize(address)
        self.kept: KeptConnections = self.settings["kept"]

    async def prepare(self) -> None:
        await self.forward(self.address, self.kept)


class Port(RequestHandler):
    """Says from which port it was asked; closes the connection afterwards, if asked to."""

    def answer(self) -> None:
        if self.get_argument("close", ""):
            self.set_header("Connection", "close")
        self.finish(str(self.request.connection.context.address[1]))  # type: ignore[union-attr]

    get = post = answer

    def head(self) -> None:
        self.set_header("Content-Length", "5")


def asked_from(port: int, path: str = "/", method: str = "GET", body: str | None = None) -> str:
    with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=20)) as visitor:
        visitor.request(method, path, body)
        return visitor.getresponse().read().decode(errors="replace")


def test_requests_without_a_body_share_a_connection() -> None:
    with (
        serving(Application([("/status/(.*)", Status), ("/.*", Port)])) as target,
        forwarding((LOOPBACK, target), Keeping, kept=KeptConnections()) as port,
    ):
        first = asked_from(port)
        asked_from(port, method="HEAD")
        asked_from(port, "/status/304")
        asked_from(port, "/status/204")
        assert asked_from(port) == first
        assert asked_from(port, method="POST", body="x") != first, "it could not be sent again"
        assert asked_from(port) == first
        assert asked_from(port, "/?close=1") == first
        assert asked_from(port) != first


def test_a_connection_that_the_target_has_closed_costs_no_answer() -> None:
    """It closes each after one answer without saying so, as servers do that wait for some seconds only."""
    asked: list[bytes] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        if len(asked) == 1:
            await reader.readuntil(b"\r\n\r\n")  # takes the next question, and closes

    with peer(answer_once) as target, forwarding((LOOPBACK, target), Keeping, kept=KeptConnections()) as port:
        assert [asked_from(port) for _ in range(3)] == ["ok", "ok", "ok"]
    assert len(asked) == 3


def test_who_leaves_a_download_leaves_no_connection_behind() -> None:
    kept = KeptConnections()
    with (
        serving(Application([("/down/(.*)", Download)])) as target,
        forwarding((LOOPBACK, target), Keeping, kept=kept) as port,
    ):
        with socket.create_connection((LOOPBACK, port), timeout=20) as visitor:
            visitor.sendall(b"GET /down/200 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert visitor.recv(1000)
        assert asked_from(port, "/down/1").startswith("\x00\x01")
        wait_until(lambda: len(kept) == 1, "the second one to be kept")


def test_many_at_once(proxy: int) -> None:
    async def one(number: int) -> bytes:
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy)
        body = b"x" * number * 1000
        writer.write(b"PUT /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        answer = await reader.read()
        writer.close()
        return answer

    async def all_of_them() -> list[bytes]:
        return await asyncio.gather(*map(one, range(200)))

    for number, answer in enumerate(asyncio.run(all_of_them())):
        assert f'"received": {number * 1000}'.encode() in answer


@pytest.fixture
def process(target: int) -> Iterator[tuple[int, psutil.Process]]:
    """A proxy in a process of its own, whose memory can be measured."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with subprocess.Popen(
        [sys.executable, "-m", "support.proxied", str(target)], stdout=subprocess.PIPE, text=True, env=environment
    ) as started:
        assert started.stdout is not None
        try:
            yield int(started.stdout.readline()), psutil.Process(started.pid)
        finally:
            started.terminate()


def highest_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_memory_stays_the_same_whatever_is_streamed(process: tuple[int, psutil.Process]) -> None:
    port, proxy = process
    get(port, "/download/1")
    before = highest_mb(proxy)
    with Client(port) as client:
        answer = client.ask("GET", "/download/250")
        count = sum(len(block) for block in iter(lambda: answer.read(MB), b""))
        assert count == 250 * MB
        body = (BLOCK for _ in range(250 * MB // len(BLOCK)))
        assert f'"received": {250 * MB}' in client.ask("PUT", "/count", body).read().decode()
    assert highest_mb(proxy) - before < 16


def test_a_slow_reader_slows_the_sender(process: tuple[int, psutil.Process], target: int) -> None:
    """Nobody reads for a while: what was sent waits at the target, not in the proxy."""
    port, proxy = process
    get(port, "/download/1")
    before = highest_mb(proxy)
    with socket.create_connection((LOOPBACK, port), timeout=30) as visitor:
        visitor.sendall(b"GET /download/300?length=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        head = visitor.recv(1000)
        assert head.startswith(b"HTTP/1.1 200")
        moved = [0]

        def is_still() -> bool:
            moved.append(proxy.io_counters().read_chars)
            return len(moved) > _STILL and moved[-1] == moved[-_STILL] > MB

        wait_until(is_still, "the proxy to wait")
        left = 300 * MB - len(head.split(b"\r\n\r\n", 1)[1])
        while left > 0:
            left -= len(visitor.recv(MB))
        assert left == 0
    assert highest_mb(proxy) - before < 16


def test_a_slow_target_slows_the_sender() -> None:
    """A target that does not read: the visitor can send what the buffers hold, and no more."""
    gone, stop = Gone(), threading.Event()

    async def reads_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        gone.came.set()
        await asyncio.to_thread(stop.wait, 60)

    with (
        peer(reads_nothing) as target,
        forwarding((LOOPBACK, target)) as port,
        socket.create_connection((LOOPBACK, port)) as visitor,
    ):
        visitor.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert gone.came.wait(20)
        visitor.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 300 * MB:
                sent += visitor.send(BLOCK)
        stop.set()
    assert sent < 100 * MB
