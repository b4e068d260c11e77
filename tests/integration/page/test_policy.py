"""Which requests are answered: what browsers send for whom, and through which proxies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.site import Site
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from run_qarnot.page.policy import Policy, is_loopback

LOCAL = Policy(8866, local_only=True, trust_proxy=False)
PROXIED = Policy(8866, local_only=False, trust_proxy=True)
SOCKET = Policy(None, local_only=False, trust_proxy=True)
OURS = "http://localhost:8866"


def request(method: str = "GET", **headers: str) -> HTTPServerRequest:
    """What a browser would send; underscores in names are hyphens."""

    class Connection:
        context = None

    named = HTTPHeaders({name.replace("_", "-"): text for name, text in headers.items()})
    named.setdefault("Host", "localhost:8866")
    start = RequestStartLine(method, "/", "HTTP/1.1")
    return HTTPServerRequest(headers=named, start_line=start, connection=Connection())  # type: ignore[arg-type]


def fetched(site: str, mode: str, target: str, method: str = "GET", **more: str) -> HTTPServerRequest:
    return request(method, Sec_Fetch_Site=site, Sec_Fetch_Mode=mode, Sec_Fetch_Dest=target, **more)


@pytest.mark.parametrize(
    ("asked", "is_foreign"),
    [
        (fetched("none", "navigate", "document"), False),  # typed, or a bookmark
        (fetched("same-origin", "no-cors", "script"), False),
        (fetched("same-origin", "cors", "empty", "POST", Origin=OURS), False),
        (fetched("same-origin", "navigate", "iframe"), False),
        (fetched("cross-site", "navigate", "document"), False),  # a launch link
        (fetched("same-site", "navigate", "document"), False),
        (fetched("cross-site", "no-cors", "image"), True),
        (fetched("same-site", "no-cors", "image"), True),  # a page on another port
        (fetched("cross-site", "navigate", "iframe"), True),
        (fetched("cross-site", "navigate", "object"), True),
        (fetched("cross-site", "cors", "empty"), True),
        (fetched("cross-site", "navigate", "document", "POST", Origin="http://evil.example"), True),
        (request(), False),  # a program, or a page that sends no login cookie
        (request("POST", Origin=OURS), False),
        (request("POST", Origin="null"), True),
        (request("POST", Origin="http://evil.example"), True),
        (request(Upgrade="websocket", Origin=OURS), False),
        (request(Upgrade="websocket", Origin="http://localhost:3000"), True),
        (request(Upgrade="websocket", Origin="http://evil.example:8866"), True),
        (request(Upgrade="websocket", Origin="http://[half"), True),
    ],
)
def test_other_pages_can_lead_their_visitors_here_and_no_more(asked: HTTPServerRequest, is_foreign: bool) -> None:
    assert LOCAL.is_foreign_page(asked) is is_foreign


@pytest.mark.parametrize("policy", [PROXIED, SOCKET])
@pytest.mark.parametrize("headers", [{"Host": "team.example.org"}, {"X_Forwarded_Host": "team.example.org, proxy"}])
def test_a_proxy_that_passes_the_name_on(policy: Policy, headers: dict[str, str]) -> None:
    own = request(Upgrade="websocket", Origin="https://team.example.org", **headers)
    foreign = request(Upgrade="websocket", Origin="https://evil.example", **headers)
    for asked in (own, foreign):
        policy.read_proxy_headers(asked)
        assert asked.host == "team.example.org"
    assert not policy.is_foreign_page(own)
    assert policy.is_foreign_page(foreign) or (policy is SOCKET and "Host" in headers)


@pytest.mark.parametrize("policy", [PROXIED, SOCKET])
def test_a_proxy_that_passes_no_name_on(policy: Policy) -> None:
    """What is in `Host` is not what the browser asked for, so a websocket's origin says nothing; the cookie does."""
    asked = request(Host="127.0.0.1:8866", Upgrade="websocket", Origin="https://team.example.org")
    policy.read_proxy_headers(asked)
    assert not policy.is_foreign_page(asked)
    assert policy.is_foreign_page(fetched("cross-site", "cors", "empty", Host="127.0.0.1:8866"))


def test_nobody_is_believed_unasked() -> None:
    asked = request(X_Forwarded_Host="team.example.org")
    LOCAL.read_proxy_headers(asked)
    assert asked.host == "localhost:8866"


@given(name=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_only_what_can_be_a_host_is_believed(name: str) -> None:
    asked = request()
    asked.headers["X-Forwarded-Host"] = name
    PROXIED.read_proxy_headers(asked)
    assert all(character.isascii() and (character.isalnum() or character in ".-_:[]") for character in asked.host)


@pytest.mark.parametrize(
    ("host", "is_foreign"),
    [("localhost:1", False), ("127.0.0.1", False), ("127.9.9.9:80", False), ("[::1]:8866", False), ("LOCALHOST", False),
     ("evil.example", True), ("192.0.2.1:8866", True), ("localhost.evil.example", True), ("[half", True), ("", True)],
)  # fmt: skip
def test_names_of_this_machine_alone(host: str, is_foreign: bool) -> None:
    asked = request()
    asked.host = host
    assert LOCAL.is_foreign_name(asked) is is_foreign
    assert not PROXIED.is_foreign_name(asked)


def test_loopback() -> None:
    assert [is_loopback(name) for name in ("::1", "127.0.0.2", "localhost", "0.0.0.0", "10.0.0.1", "example.org")] == (
        [True, True, True, False, False, False]
    )


# on the running server


def test_a_foreign_page_starts_no_kernel_even_for_who_is_logged_in(site: Site) -> None:
    for mode, target in (("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
        answer = site.get("/?x=1", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode, Sec_Fetch_Dest=target)
        assert answer[0] == 403
    for purpose in ("prefetch", "prefetch;prerender"):
        assert site.get("/", Sec_Purpose=purpose)[0] == 503
    assert site.get("/healthz", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty")[0] == 403
    assert site.kernels() == []


def test_as_many_pages_as_places(make_site: Callable[..., Site]) -> None:
    site = make_site("--max-visitors=2").log_in()
    assert [site.get("/")[0] for _ in range(3)] == [200, 200, 503]
    status, headers, body = site.get("/?opt-hours=2", Accept_Language="fr")
    assert (status, headers["Retry-After"]) == (503, "30")
    assert "Toutes les places sont prises" in body
    assert 'href="/?opt-hours=2"' in body, "Try again keeps the link"
    assert len(site.kernels()) == 2
    assert site.get("/", "HEAD")[0] == 200
    site.get("/logout", "POST")
    assert site.log_in().get("/")[0] in {200, 503}
