"""A WSGI application under an ASGI server: bodies in pieces, faults of the application, a client that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from qarnot_local.control.faults import RESET, STATUS, Call, Fault, Faults
from qarnot_local.control.trouble import Recorder, play
from qarnot_local.s3.server import Environ, Wsgi, environ_of

Start = Callable[..., Any]


class _Connection:
    """What uvicorn's request cycle is to a recorder: it sends, and knows the connection."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.transport = self
        self.is_reset = False

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    def abort(self) -> None:
        self.is_reset = True

    def is_closing(self) -> bool:
        return self.is_reset

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return self

    def setsockopt(self, *_: object) -> None:
        pass

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)


def ask(
    application: Callable[[Environ, Start], Iterable[bytes]],
    pieces: tuple[bytes, ...] = (b"",),
    fault: Fault | None = None,
    **scope: Any,
) -> _Connection:
    """Ask the application, with a body that comes in these pieces; without any, the client goes away."""
    whole = {"type": "http", "method": "GET", "raw_path": b"/b/k%20x", "query_string": b"q=1", "headers": [], **scope}
    whole |= {"server": ("127.0.0.1", 80), "scheme": "http", "http_version": "1.1"}
    rest = list(pieces)

    async def receive() -> Any:
        if not rest:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    connection = _Connection()

    async def run() -> None:
        recorder = Recorder(Call("GET", "s3:GetObject", "/b/k"), connection.send)
        with ThreadPoolExecutor(1) as executor:
            wsgi = Wsgi(application, environ_of(whole), executor)
            if fault:
                await play(fault, wsgi, wsgi, Faults(), (whole, receive, recorder))
            else:
                await wsgi(whole, receive, recorder)

    asyncio.run(run())
    return connection


def echo(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [])
    while data := environ["wsgi.input"].read(3):
        yield data


def test_a_body_passes_in_pieces_both_ways() -> None:
    connection = ask(echo, (b"abcde", b"", b"fgh"))
    assert (connection.body, connection.messages[-1].get("more_body")) == (b"abcdefgh", None)
    assert len(connection.messages) > 3


def test_an_environment_has_the_path_decoded_and_as_it_was_sent() -> None:
    def application(environ: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        return [f"{environ['PATH_INFO']} {environ['RAW_URI']} {environ['HTTP_X_A']}".encode()]

    assert ask(application, headers=[(b"x-a", b"1"), (b"x-a", b"2")]).body == b"/b/k x /b/k%20x?q=1 1,2"


def test_a_fault_of_the_application_costs_one_answer(caplog: pytest.LogCaptureFixture) -> None:
    def application(environ: Environ, start: Start) -> list[bytes]:
        raise KeyError

    assert ask(application).messages[0]["status"] == 500
    assert "The storage failed on a GET request" in caplog.text


def test_a_long_body_that_nobody_reads_costs_the_connection() -> None:
    def application(environ: Environ, start: Start) -> list[bytes]:
        start("403 Forbidden", [("Content-Length", "0")])
        return [b""]

    headers = [(b"content-length", b"99999999")]
    assert (b"connection", b"close") in ask(application, (b"x", b"x"), headers=headers).messages[0]["headers"]


def test_a_head_and_a_204_have_no_body() -> None:
    def application(environ: Environ, start: Start) -> list[bytes]:
        start("200 OK", [("Content-Length", "3")])
        return [b"abc"]

    assert ask(application, method="HEAD").body == b""


@pytest.mark.parametrize(("size", "body", "reset"), [(4, b"abcd", True), (0, b"", True)])
def test_a_reset_comes_after_so_many_bytes(size: int, body: bytes, reset: bool) -> None:
    connection = ask(echo, (b"abcdefgh",), Fault("GET", "*", how=RESET, after_bytes=size))
    assert (connection.body, connection.is_reset) == (body, reset)


def test_a_status_is_answered() -> None:
    assert ask(echo, (b"x",), Fault("GET", "*", how=STATUS, status=200)).body == b"x"
