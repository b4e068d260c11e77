"""Headers of requests and answers that pass the streaming proxy."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from run_qarnot.page.proxy_headers import (
    add_forwarded_headers,
    can_be_repeated,
    closes,
    read_framing,
    remove_hop_by_hop,
    wanted_upgrade,
)


def request(method: str = "GET", version: str = "HTTP/1.1", **headers: str) -> HTTPServerRequest:
    named = HTTPHeaders({"Host": "x"} | {name.replace("_", "-"): value for name, value in headers.items()})
    return HTTPServerRequest(headers=named, start_line=RequestStartLine(method, "/", version))


@given(st.lists(st.sampled_from(["Connection", "connection", "X-A", "TE", "Upgrade", "Cookie"]), max_size=8), st.data())
def test_nothing_that_connection_names_is_left(names: list[str], data: st.DataObject) -> None:
    headers = HTTPHeaders()
    for name in names:
        headers.add(name, data.draw(st.sampled_from(["X-A", "close, cookie", ", x-a ,", "keep-alive"])))
    listed = {part.strip().lower() for value in headers.get_list("Connection") for part in value.split(",")}
    remove_hop_by_hop(headers)
    left = {name.lower() for name in headers}
    assert not left & {"connection", "te", "upgrade", *listed}


def test_forwarded_headers_name_the_visitor_and_keep_earlier_proxies() -> None:
    asked = HTTPHeaders({"Host": "here.example", "X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"})
    request = HTTPServerRequest(headers=asked, start_line=RequestStartLine("GET", "/", "HTTP/1.1"))
    headers = HTTPHeaders(asked)
    add_forwarded_headers(request, headers)
    assert headers["X-Forwarded-For"].startswith("198.51.100.1, ")
    assert (headers["X-Forwarded-Host"], headers["X-Forwarded-Proto"]) == ("here.example", "https")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["0", "4", "04", "4,4", "-1", "", "٤", "1e1"]), max_size=3),
       st.lists(st.sampled_from(["chunked", "Chunked", "identity", ""]), max_size=2))  # fmt: skip
def test_a_request_has_one_length_or_is_refused(lengths: list[str], codings: list[str]) -> None:
    headers = HTTPHeaders({"Host": "x"})
    for name, values in (("Content-Length", lengths), ("Transfer-Encoding", codings)):
        for value in values:
            headers.add(name, value, _chars_are_bytes=False)
    framing: dict[str, str] = {}
    with contextlib.suppress(ValueError):
        framing = read_framing(headers)
        assert len(framing) == (1 if lengths or codings else 0)
    assert framing.get("Content-Length", "0").isascii()
    assert not (framing and lengths and codings)


@pytest.mark.parametrize(
    ("options", "is_closed"), [("close", True), ("Close, x", True), ("keep-alive", False), ("closed", False)]
)
def test_a_message_says_whether_its_connection_closes(options: str, is_closed: bool) -> None:
    assert closes(HTTPHeaders({"Connection": options})) is is_closed


def test_only_requests_without_a_body_that_change_nothing_are_repeated() -> None:
    assert can_be_repeated(request("GET"))
    assert can_be_repeated(request("HEAD", Content_Length="0"))
    assert not can_be_repeated(request("POST"))
    assert not can_be_repeated(request("GET", Content_Length="3"))
    assert not can_be_repeated(request("GET", Transfer_Encoding="chunked"))


def test_an_upgrade_takes_a_plain_get_whose_connection_names_it() -> None:
    websocket = {"Connection": "keep-alive, Upgrade", "Upgrade": "websocket"}
    assert wanted_upgrade(request(**websocket)) == "websocket"
    assert wanted_upgrade(request(Upgrade="websocket")) == ""
    assert wanted_upgrade(request("POST", **websocket)) == ""
    assert wanted_upgrade(request(version="HTTP/1.0", **websocket)) == ""
    assert wanted_upgrade(request(**websocket, Content_Length="3")) == ""
