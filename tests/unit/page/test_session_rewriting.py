"""Addresses and headers of a session's app, as the app knows them and as the visitor does."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.model.connections import Forward, Mount
from run_qarnot.page.app_cookies import AppCookies
from run_qarnot.page.session_rewriting import Rewriting

ID, TOKEN, ORIGIN = "rq-0123456789ab", "t" * 48, "https://hub.example.org"
OUTER = f"/user/anna/run-qarnot/{ID}/"


def rewriting(mount: Mount = Mount.PREFIX, outer: str = OUTER, token: str | None = TOKEN) -> Rewriting:
    base = f"/{ID}/" if mount is Mount.PREFIX else "/"
    session = ProxiedSession(ID, "k" * 64, "root", "key", Forward(22, "127.0.0.1", 22), 8888, token, base, mount)
    return Rewriting(session, outer, ORIGIN, AppCookies())


@pytest.mark.parametrize(
    ("mount", "below", "inner"),
    [
        (Mount.PREFIX, "lab?a=%2F", f"/{ID}/lab?a=%2F"),
        (Mount.PREFIX, "", f"/{ID}/"),
        (Mount.PREFIX, "/x//../y", f"/{ID}//x//../y"),
        (Mount.STRIP, "lab?a=%2F", "/lab?a=%2F"),
        (Mount.STRIP, "", "/"),
    ],
)
def test_a_path_is_moved_and_otherwise_left_alone(mount: Mount, below: str, inner: str) -> None:
    assert rewriting(mount).path_for_app(OUTER + below) == inner


@pytest.mark.parametrize(
    ("mount", "location", "outer"),
    [
        (Mount.PREFIX, f"/{ID}/lab?x=1#y", OUTER + "lab?x=1#y"),
        (Mount.PREFIX, f"/{ID}", OUTER),
        (Mount.PREFIX, f"http://localhost:8888/{ID}/tree", OUTER + "tree"),
        (Mount.PREFIX, f"http://127.0.0.1:8888/{ID}/tree", OUTER + "tree"),
        (Mount.PREFIX, "/elsewhere", OUTER + "elsewhere"),
        (Mount.PREFIX, f"/{ID}/lab?token={TOKEN}", OUTER + "lab?token="),
        (Mount.PREFIX, OUTER + "lab", OUTER + "lab"),
        (Mount.PREFIX, "lab", "lab"),
        (Mount.PREFIX, "?a", "?a"),
        (Mount.PREFIX, "https://example.org/x", "https://example.org/x"),
        (Mount.PREFIX, "//example.org/x", "//example.org/x"),
        (Mount.PREFIX, "http://localhost:9999/x", "http://localhost:9999/x"),
        (Mount.PREFIX, "http://[", "http://["),
        (Mount.STRIP, "/login", OUTER + "login"),
        (Mount.STRIP, "/", OUTER),
        (Mount.STRIP, "http://localhost:8888/login", OUTER + "login"),
        (Mount.STRIP, OUTER + "login", OUTER + "login"),
    ],
)
def test_redirects_stay_below_the_session(mount: Mount, location: str, outer: str) -> None:
    headers = HTTPHeaders({"Location": location})
    rewriting(mount).response_headers(302, headers)
    assert headers["Location"] == outer


def test_headers_for_the_app() -> None:
    headers = HTTPHeaders(
        {
            "Host": "hub.example.org",
            "Origin": ORIGIN,
            "Referer": f"{ORIGIN}{OUTER}lab?a",
            "Cookie": "login=secret",
            "Authorization": "Basic of-the-proxy",
            "X-Forwarded-For": "192.0.2.1",
            "X-Real-Ip": "192.0.2.1",
            "Accept-Encoding": "gzip, br, zstd",
            "X-Xsrftoken": "kept",
        }
    )
    rewriting().request_headers(headers)
    assert dict(headers) == {
        "Host": "localhost:8888", "Origin": "http://localhost:8888", "Referer": f"http://localhost:8888/{ID}/lab?a",
        "Authorization": f"token {TOKEN}", "Accept-Encoding": "gzip", "X-Xsrftoken": "kept",
    }  # fmt: skip


@pytest.mark.parametrize("referer", ["https://example.org/secret", ORIGIN + "/user/anna/run-qarnot/?opt-image=x", "x"])
def test_an_app_does_not_hear_of_other_pages(referer: str) -> None:
    headers = HTTPHeaders({"Referer": referer})
    rewriting(token=None).request_headers(headers)
    assert dict(headers) == {"Host": "localhost:8888"}


def test_headers_that_speak_for_the_whole_origin_are_dropped() -> None:
    headers = HTTPHeaders(
        {
            "Clear-Site-Data": '"*"',
            "Strict-Transport-Security": "max-age=1",
            "Service-Worker-Allowed": "/",
            "Content-Security-Policy": f"default-src 'self'; report-uri /{ID}/api/security/csp-report",
            "Link": f"</{ID}/a.js>; rel=preload",
            "Content-Type": "text/html",
        }
    )
    rewriting().response_headers(200, headers)
    assert dict(headers) == {
        "Content-Security-Policy": f"default-src 'self'; report-uri {OUTER}api/security/csp-report",
        "Link": f"<{OUTER}a.js>; rel=preload", "Content-Type": "text/html", "X-Accel-Buffering": "no",
    }  # fmt: skip


@pytest.mark.parametrize(("status", "count"), [(200, 2), (302, 2), (101, 0)])
def test_cookies_get_the_session_s_path_and_none_is_set_by_a_101(status: int, count: int) -> None:
    headers = HTTPHeaders()
    for cookie in (f"a=1; Path=/{ID}/", "b=2"):
        headers.add("Set-Cookie", cookie)
    rewriting().response_headers(status, headers)
    assert headers.get_list("Set-Cookie") == [f"a=1; Path={OUTER}", f"b=2; Path={OUTER}"][:count]


def rewritten(page: bytes, path: str = "lab", kind: str = "text/html; charset=utf-8", mount: Mount = Mount.PREFIX,
              status: int = 200, **more: str) -> bytes:  # fmt: skip
    headers = HTTPHeaders({"Content-Type": kind, **{name.replace("_", "-"): value for name, value in more.items()}})
    rewrite = rewriting(mount).body_rewriter(status, path, headers)
    return page if rewrite is None else rewrite(page)


PAGE = f'<a href="/{ID}/x">{{"baseUrl": "/{ID}/", "token": "{TOKEN}"}}'.encode()
SEEN = f'<a href="{OUTER}x">{{"baseUrl": "{OUTER}", "token": ""}}'.encode()


def test_pages_and_the_list_of_kernels_are_rewritten() -> None:
    assert rewritten(PAGE) == SEEN
    assert rewritten(PAGE, "lab/tree/files/x.ipynb?a") == SEEN
    assert rewritten(gzip.compress(PAGE), Content_Encoding="gzip") == SEEN
    assert rewritten(PAGE, "api/kernelspecs?1", "application/json") == SEEN
    assert rewritten(PAGE, "api/kernelspecs/python3", "application/json") == SEEN
    assert rewritten(PAGE, "server-proxy/servers-info", "application/json") == SEEN


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "files/page.html"},
        {"kind": "application/json", "path": "api/contents/page.html"},
        {"kind": "application/json", "path": "api/kernelspecs/a/b"},
        {"kind": "text/plain"},
        {"kind": "application/javascript"},
        {"Content_Disposition": "attachment; filename=a.html"},
        {"status": 206},
        {"Content_Encoding": "br"},
    ],
)
def test_files_are_left_alone(changes: dict[str, str]) -> None:
    assert rewritten(PAGE, **changes) == PAGE  # type: ignore[arg-type]


def test_without_a_base_path_only_the_token_is_taken_out() -> None:
    assert rewritten(PAGE, mount=Mount.STRIP) == PAGE.replace(TOKEN.encode(), b"")


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(PAGE)[:-9], gzip.compress(bytes(100 << 20)), gzip.compress(PAGE) + b"x"],
    ids=["empty", "other", "cut", "bomb", "more"],
)
def test_what_cannot_be_unpacked_is_left_alone(packed: bytes) -> None:
    headers = HTTPHeaders({"Content-Type": "text/html", "Content-Encoding": "gzip"})
    rewrite = rewriting().body_rewriter(200, "lab", headers)
    assert rewrite is not None
    assert rewrite(packed) == packed
    assert headers["Content-Encoding"] == "gzip"


@given(st.binary(max_size=300))
def test_a_page_without_our_strings_stays_as_it_is(page: bytes) -> None:
    assert rewritten(page) == page


def test_a_session_is_read_back_from_its_message() -> None:
    for mount in (Mount.PREFIX, Mount.STRIP):
        session = rewriting(mount).session
        assert ProxiedSession.from_message(session.as_message()) == session
        assert TOKEN not in repr(session)
        assert session.key not in repr(session)


@pytest.mark.parametrize(
    "change",
    [{"id": "rq-1"}, {"id": "../../x"}, {"key": "short"}, {"base_path": "/other/"}, {"mount": "x"}, {"ssh": None},
     {"more": 1}],
)  # fmt: skip
def test_what_is_no_session_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever it says: nobody sees it
        ProxiedSession.from_message(rewriting().session.as_message() | change)
