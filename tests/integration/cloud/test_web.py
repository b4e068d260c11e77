"""Files of the web are read as a stream, from a real server that breaks off, redirects, or is in a private network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from support.web_server import WebServer, web_server

from run_qarnot.cloud import web
from run_qarnot.cloud.web import WebReader, check_public, is_public
from run_qarnot.core.errors import RunQarnotError, TransferError, UnreachableError
from run_qarnot.model.web_file import WebFile, parse_web_file

CONTENT = os.urandom(3_000_000)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setattr(web, "WAITS", (0.01, 0.01))
    with web_server(files={"data.bin": CONTENT, "empty": b""}) as server:
        yield server


def read(file: WebFile) -> bytes:
    with WebReader(file) as reader:
        return b"".join(reader.read())


def size(file: WebFile) -> int | None:
    with WebReader(file) as reader:
        return reader.look().size


def problem(file: WebFile) -> str:
    with pytest.raises(RunQarnotError) as caught, WebReader(file) as reader:
        reader.look()
    return caught.value.code


def test_the_size_is_known_before_and_the_content_is_whole(server: WebServer) -> None:
    file = parse_web_file(server.url("data.bin"))
    assert size(file) == len(CONTENT)
    assert server.asked == [("data.bin", "bytes=0-0")]
    assert read(file) == CONTENT
    assert size(parse_web_file(server.url("empty"))) == 0


def test_what_breaks_off_goes_on_where_it_broke_off(server: WebServer) -> None:
    server.breaks = [700_000, 500_000, 1]
    assert read(parse_web_file(server.url("data.bin"))) == CONTENT
    assert len(server.asked) == 4
    assert server.asked[1][1].startswith("bytes=")


def test_a_server_without_pieces_cannot_go_on(server: WebServer) -> None:
    server.ranges = False
    assert size(parse_web_file(server.url("data.bin"))) == len(CONTENT)
    server.breaks = [700_000]
    with pytest.raises(TransferError) as caught:
        read(parse_web_file(server.url("data.bin")))
    assert caught.value.code == "web-broke-off"


def test_a_server_may_hide_the_size(server: WebServer) -> None:
    server.says_size = server.ranges = False
    file = parse_web_file(server.url("data.bin"))
    assert size(file) is None
    assert read(file) == CONTENT


def test_redirects_are_followed_but_not_for_ever_and_not_anywhere(server: WebServer) -> None:
    server.redirects = {"a": "/data.bin", "loop": "/loop", "file": "file:///etc/passwd", "login": "http://a:b@[::1]/x"}
    assert size(parse_web_file(server.url("a"))) == len(CONTENT)
    assert problem(parse_web_file(server.url("loop"))) == "web-redirects"
    assert len([path for path, _ in server.asked if path == "loop"]) == web.MOST_REDIRECTS + 1
    assert problem(parse_web_file(server.url("file"))) == "web-leads"
    assert problem(parse_web_file(server.url("login"))) == "web-leads"


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "web-missing"), (401, "web-denied"), (403, "web-denied"), (500, "web-silent"), (418, "web-refused")],
)
def test_what_the_server_says_is_said(server: WebServer, status: int, code: str) -> None:
    server.statuses = {"data.bin": status}
    assert problem(parse_web_file(server.url("data.bin"))) == code


def test_nobody_listens_and_there_is_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(UnreachableError, match="nothing listens there"):
        size(WebFile("http://127.0.0.1:9/x", "x"))
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for public_only in (False, True):
        with pytest.raises(UnreachableError, match="no such host"):
            size(WebFile("http://data.example/x", "x", public_only=public_only))


# — the network of this machine —


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "", "x",
    ],
)  # fmt: skip
def test_addresses_of_an_own_network_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1"])
def test_no_way_to_write_it_leads_to_this_machine(server: WebServer, host: str) -> None:
    port = server.address.rsplit(":", 1)[1]
    assert problem(parse_web_file(f"http://{host}:{port}data.bin", public_only=True)) == "web-private"
    assert server.asked == []


def test_a_redirect_leads_to_this_machine_no_more_than_an_address(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.redirects = {"a": server.url("data.bin").replace("127.0.0.1", "127.0.0.2")}
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1")  # as if it were one of the Internet
    assert problem(parse_web_file(server.url("a"), public_only=True)) == "web-private"
    assert [path for path, _ in server.asked] == ["a"]


def test_a_name_that_means_another_address_a_moment_later_is_not_fetched(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is looked up before the connection, and is public then; the connection goes elsewhere."""
    monkeypatch.setattr(web, "check_public", lambda _host: None)
    assert problem(parse_web_file(server.url("data.bin"), public_only=True)) == "web-private"
    assert server.asked == []


def test_a_name_of_which_one_address_is_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", (address, 0)) for address in ("1.1.1.1", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: found)
    with pytest.raises(web.PrivateAddressError):
        check_public("example.org")
