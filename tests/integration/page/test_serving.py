"""The options of a server, and the page under a path of its own."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.site import Site

from run_qarnot.core.errors import InputError
from run_qarnot.page import serving
from run_qarnot.page.serving import Serving, clean_base_url


@pytest.mark.parametrize("text", ["p/q", "/p/q", "p/q/", "/p/q/", " /p/q/ ", "//p/q//"])
def test_a_base_url_has_a_slash_at_both_ends(text: str) -> None:
    assert clean_base_url(text) == "/p/q/"


@pytest.mark.parametrize(
    ("text", "path"),
    [("", "/"), ("/", "/"), ("user/jörg", "/user/j%C3%B6rg/"), ("user/j%c3%b6rg", "/user/j%C3%B6rg/"),
     ("a b", "/a%20b/"), ("anna@x.org", "/anna@x.org/"), ("anna%40x.org", "/anna@x.org/"), ("c++(x)", "/c++%28x%29/")],
)  # fmt: skip
def test_a_base_url_is_written_as_browsers_send_it(text: str, path: str) -> None:
    assert clean_base_url(text) == path


@pytest.mark.parametrize("text", ["https://x.org/p/", "p//q", "p/../q", ".", "a?b", "a#b", "a\\b", "a%2Fb", "a\nb"])
def test_what_cannot_be_a_path_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="cannot be the path"):
        clean_base_url(text)


@given(text=st.text(max_size=20))
def test_a_base_url_is_a_path_or_refused(text: str) -> None:
    try:
        path = clean_base_url(text)
    except InputError:
        return
    assert re.fullmatch(r"/([A-Za-z0-9._~@+:=!%-]+/)*", path)
    assert clean_base_url(path) == path
    assert "//" not in unquote(path)


def read(*words: str) -> Serving:
    parser = argparse.ArgumentParser()
    serving.add_arguments(parser)
    return serving.from_arguments(parser.parse_args(words))


def test_what_is_typed_is_what_is_served() -> None:
    assert read("--no-browser") == Serving()
    assert read("--port=1", "--base-url=x", "--trust-proxy", "--preheat=2", "--max-visitors=3", "--no-fork") == Serving(
        port=1, base_url="/x/", trust_proxy=True, preheat=2, max_visitors=3, open_browser=True, fork=False
    )


@pytest.mark.parametrize(
    "words", [["--port=0"], ["--port=65536"], ["--port=x"], ["--preheat=-1"], ["--max-visitors=many"],
              ["--base-url=http://x/"], ["--port=1", "--unix-socket=x"]],
)  # fmt: skip
def test_bad_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*words)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_page_lives_under_its_path_alone(make_site: Callable[..., Site]) -> None:
    site = make_site("--base-url=/a.b/c++/").log_in()
    assert site.address.path == "/a.b/c++/"
    assert site.get("/a.b/c++/", "HEAD")[0] == 200
    for path in ("/?opt-hours=2", "/a.b/c++?opt-hours=2"):
        assert site.get(path)[1]["Location"] == "/a.b/c++/?opt-hours=2"
    for path in ("/login", "/healthz", "/axb/c++/", "/a.b/", "/a.b/c++/nothing", "/a.b/c++/voila/tree"):
        assert site.get(path)[0] == 404, path
    assert "<h1>" in site.get("/elsewhere")[2]
    body = site.without_copies().get("/a.b/c++/")[2]
    addresses = re.findall(r"(?:src|href)=\"(/[^\"]*)", body)
    assert addresses
    assert all(address.startswith("/a.b/c++/") for address in addresses)
    assert [site.get(address)[0] for address in addresses] == [200] * len(addresses)
    (kernel,) = site.kernels()
    assert kernel.environ()["VOILA_BASE_URL"] == "/a.b/c++/"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_monitor_needs_no_login_and_starts_no_kernel(make_site: Callable[..., Site], method: str) -> None:
    site = make_site("--base-url=/p/")
    status, _, body = site.get("/p/healthz", method)
    assert (status, body) == (200, "ok\n" if method == "GET" else "")
    assert site.kernels() == []


@pytest.mark.parametrize(("option", "is_believed"), [("--trust-proxy", True), ("--ip=localhost", False)])
def test_headers_of_proxies_are_believed_only_if_told_so(
    make_site: Callable[..., Site], option: str, is_believed: bool
) -> None:
    site = make_site(option)
    headers = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "team.example.org", "X_Forwarded_For": "192.0.2.7"}
    cookie = site.get(f"/?{site.address.query}", **headers)[1]["Set-Cookie"]
    assert ("; Secure" in cookie) is is_believed
    assert ("team-example-org" in cookie) is is_believed
    assert (site.get("/", Host="team.example.org")[0] == 302) is is_believed
    if not is_believed:
        assert "--trust-proxy" in site.get("/", Host="team.example.org")[2], "what to do is said"
