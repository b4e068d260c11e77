"""The login: by address, by form, out again; what a stranger may try; where it leads to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ports import free_port
from support.site import Site
from support.waiting import wait_until

from run_qarnot.core.errors import InputError
from run_qarnot.page.limits import Backoff
from run_qarnot.page.login import Login, tokens_in, without_tokens

TOKEN = "correct horse battery"
CHOSEN = {"RUN_QARNOT_LOGIN_TOKEN": TOKEN}
MAKE = Callable[..., Site]


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of a chosen login token, under a path."""
    site = Site(tmp_path_factory.mktemp("chosen"), "--base-url=p/q", **CHOSEN)
    yield site
    site.end()


def test_the_address_that_is_printed_logs_in_and_vanishes(make_site: MAKE) -> None:
    site = make_site()
    status, headers, _ = site.get(f"/?opt-image=base&{site.address.query}&opt-hours=2")
    assert (status, headers["Location"]) == (302, "/?opt-image=base&opt-hours=2")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert "no-store" in headers["Cache-Control"]
    site.cookie = cookie.split(";")[0]
    status, _, body = site.without_copies().get("/?opt-image=base")
    token = site.address.query.removeprefix("token=")
    assert status == 200
    (kernel,) = site.kernels()
    assert kernel.environ()["QUERY_STRING"] == "opt-image=base"
    everything = body + "".join(kernel.environ().values()) + site.end()[2]
    assert token not in everything


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_stranger_sees_the_form_and_starts_nothing(chosen: Site, method: str) -> None:
    link = "/p/q/?opt-image=base&opt-git=https%3A%2F%2Fexample.org%2Fa.git"
    status, headers, _ = chosen.get(link, method)
    assert status == 302
    place = urlsplit(headers["Location"])
    assert (place.path, dict(parse_qsl(place.query))) == ("/p/q/login", {"next": link})
    assert chosen.get(headers["Location"])[0] == 200
    assert chosen.kernels() == []


@pytest.mark.parametrize(
    "path",
    ["run-qarnot/download/" + "x" * 43 + "/results.zip", "api/kernels/0", "voila/static/voila.js", "voila/templates/x",
     "voila/labextensions/x", "voila/files/x", "voila/api/themes/x", "voila/query/0", "nothing"],
)  # fmt: skip
def test_a_stranger_gets_nothing_else(chosen: Site, path: str) -> None:
    assert chosen.get(f"/p/q/{path}")[0] == 403
    assert chosen.get(f"/p/q/{path}", Accept="text/html")[0] == 302, "a person can log in"
    assert chosen.get(f"/p/q/{path}", "POST")[0] == 403


def test_the_form_logs_in_and_leads_to_the_link(chosen: Site) -> None:
    status, headers, _ = chosen.fill_in(f" {TOKEN}\n", "/p/q/?opt-image=base&opt-hours=2")
    assert (status, headers["Location"]) == (303, "/p/q/?opt-image=base&opt-hours=2")
    assert "Path=/p/q/" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].split(";")[0]
    assert chosen.get("/p/q/", "HEAD", Cookie=cookie)[0] == 200
    assert chosen.get("/p/q/login", Cookie=cookie)[1]["Location"] == "/p/q/"
    assert "rq-login-localhost" in cookie
    assert chosen.get("/p/q/", "HEAD", Cookie=cookie[:-2] + "xx")[0] == 302, "signed"


def test_a_form_that_makes_no_sense_is_refused(chosen: Site) -> None:
    assert chosen.get("/p/q/login", "POST", "x" * 100_000)[0] == 413
    assert chosen.get("/p/q/login", "DELETE")[0] == 405
    assert chosen.get("/p/q/login?next=%ff")[0] == 400


@pytest.mark.parametrize(
    ("language", "title"), [("fr-CH, fr;q=0.9, en;q=0.8", "Se connecter"), ("en", "Log in"), ("de", "Log in")]
)
def test_the_form_speaks_the_language_of_the_browser(chosen: Site, language: str, title: str) -> None:
    assert f"<h1>{title}</h1>" in chosen.get("/p/q/login", Accept_Language=language)[2]


def test_what_the_form_shows_again_is_text(chosen: Site) -> None:
    body = chosen.get("/p/q/login?next=" + quote('/p/q/?x="><script>alert(1)</script>'))[2]
    assert "<script" not in body


def test_guessing_is_slowed_down_and_who_is_logged_in_does_not_notice(make_site: MAKE) -> None:
    site = make_site(**CHOSEN)
    cookie = site.fill_in(TOKEN)[1]["Set-Cookie"].split(";")[0]
    answers = [site.fill_in(f"wrong {number}")[0] for number in range(3)]
    answers += [site.get(f"/?token=wrong-{number}")[0] for number in range(4)]
    status, headers, body = site.fill_in("wrong again")
    assert answers == [403] * 3 + [302] * 4
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert "Wait" in body
    assert site.fill_in(TOKEN)[0] == 429, "a right one is not looked at either: else nothing would be slower"
    assert site.get("/?token=" + quote(TOKEN))[1]["Set-Cookie"] is None
    assert site.get("/", "HEAD", Cookie=cookie)[0] == 200
    assert site.get("/?token=whatever", Cookie=cookie)[1]["Location"] == "/?token="
    assert TOKEN not in site.line + "".join(site.end()[1:])


def test_back_off_doubles_ends_and_is_forgiven() -> None:
    now = 1000.0
    backoff = Backoff(lambda: now)
    waits = []
    for _ in range(14):
        backoff.fail()
        waits.append(backoff.wait())
        now += waits[-1]
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    now += 16 * 60
    backoff.fail()
    assert backoff.wait() == 0


def test_another_token_in_the_address_is_not_taken_along(chosen: Site) -> None:
    """The page says that there was one; its value reaches neither page nor kernel."""
    cookie = chosen.fill_in(TOKEN)[1]["Set-Cookie"].split(";")[0]
    for query in ("token=qarnot-token", "TOKEN=qarnot-token&opt-hours=1", "opt-hours=1&amp;token=qarnot-token"):
        location = chosen.get(f"/p/q/?{query}", Cookie=cookie)[1]["Location"]
        assert location.endswith("token=")
        assert "qarnot-token" not in location
        headers = chosen.get(f"/p/q/?{query}")[1]
        assert "qarnot-token" not in headers["Location"]
        assert "wrong=1" in headers["Location"]
    own = quote(TOKEN)
    assert chosen.get(f"/p/q/?token={own}&opt-hours=1", Cookie=cookie)[1]["Location"] == "/p/q/?opt-hours=1"
    assert chosen.get(f"/p/q/?token={own}&token=other", Cookie=cookie)[1]["Location"] == "/p/q/?token="
    assert chosen.get(f"/p/q/login?token={own}&next=/p/q/?opt-hours=1", Cookie=cookie)[1]["Location"] == (
        "/p/q/?opt-hours=1"
    )


def test_a_restart_keeps_the_login_of_a_chosen_token_alone(make_site: MAKE) -> None:
    port = f"--port={free_port()}"  # the cookie is that of a host and a port
    first = make_site(port, **CHOSEN)
    cookie = first.fill_in(TOKEN)[1]["Set-Cookie"].split(";")[0]
    first.end()
    again = make_site(port, **CHOSEN)
    assert again.get("/", "HEAD", Cookie=cookie)[0] == 200
    again.end()
    other = make_site(port, RUN_QARNOT_LOGIN_TOKEN="another horse battery")
    assert other.get("/", "HEAD", Cookie=cookie)[0] == 302


def test_log_out_ends_the_visitors_pages_and_refuses_copies_of_the_cookie(make_site: MAKE) -> None:
    site = make_site().log_in()
    body = site.get("/")[2]
    kernel = re.search(r'kernelId = "([\w-]+)"', body)
    assert kernel is not None
    assert site.get(f"/api/kernels/{kernel[1]}")[0] == 200
    stranger = site.get(f"/?{site.address.query}", Cookie="none=1")[1]["Set-Cookie"].split(";")[0]
    assert site.get(f"/api/kernels/{kernel[1]}", Cookie=stranger)[0] == 403, "another visitor's page"
    status, headers, _ = site.get("/logout", "POST")
    assert status == 200
    assert "rq-login" in headers["Set-Cookie"]
    assert site.get("/", "HEAD")[0] == 302
    assert site.get("/", "HEAD", Cookie=stranger)[0] == 200
    wait_until(lambda: not site.kernels(), "the page's kernel to end")
    assert site.get("/logout", Cookie=stranger, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate",
                    Sec_Fetch_Dest="document")[1]["Set-Cookie"] is None  # fmt: skip
    assert site.get("/logout", Cookie=stranger)[1]["Set-Cookie"]


@pytest.mark.parametrize("token", ["short", "fifteen letters"])
def test_a_token_that_can_be_guessed_is_refused(make_site: MAKE, token: str) -> None:
    code, out, err = make_site(RUN_QARNOT_LOGIN_TOKEN=token).end()
    assert (code, out) == (1, "")
    assert f"RUN_QARNOT_LOGIN_TOKEN has {len(token)} characters" in err
    assert token not in err
    assert len(err.splitlines()) == 2


def test_no_login_is_for_a_socket_of_this_user_alone(make_site: MAKE) -> None:
    code, _, err = make_site("--no-login").end()
    assert code == 1
    assert "--unix-socket" in err


# where a login leads to


BASES = st.sampled_from(["/", "/p/", "/user/anna@example.org/run-qarnot/"])
PIECES = st.sampled_from(["/", "//", "\\", "..", "p", "user", "?", "#", "@", ":", "evil.example", "%2f", "%5c", "%2e",
                          "http", "https://", "javascript", "\t", "\n", "é", "token=x", "&", "[", "a=1"])  # fmt: skip


@given(base=BASES, pieces=st.lists(PIECES, max_size=8), inside=st.booleans())
def test_a_login_never_leads_elsewhere(base: str, pieces: list[str], inside: bool) -> None:
    text = "".join([base if inside else "", *pieces])
    found = Login("x" * 20, base).next_of(text)
    assert found.startswith(base)
    assert not re.search(r"[\s\\#]", found)
    assert not found.startswith("//")
    place = urlsplit(found)
    assert (place.scheme, place.netloc) == ("", "")
    assert ".." not in place.path.replace("%2e", ".").split("/")
    assert list(tokens_in(place.query)) == []


@pytest.mark.parametrize("query", ["opt-image=base", "opt-git=https%3A%2F%2Fx.org%2Fa.git&opt-open=a%20b.ipynb", "a&b"])
def test_a_login_leads_to_the_link_as_it_was(query: str) -> None:
    assert Login("x" * 20, "/p/").next_of(f"/p/?{query}") == f"/p/?{query}"


@given(parts=st.lists(st.sampled_from(["a=1", "token=s", "TOKEN=s", "%74oken=s", "amp;token=s", "tokens=1", "x"])))
def test_no_token_stays_in_a_query_and_all_else_does(parts: list[str]) -> None:
    kept = without_tokens("&".join(parts))
    assert list(tokens_in(kept)) == []
    assert kept.split("&") == ([part for part in parts if part in {"a=1", "tokens=1", "x"}] or [""])


def test_two_dashboards_of_a_host_have_cookies_of_their_own(make_site: MAKE) -> None:
    """Cookies ignore ports, and those of `/` are sent to `/p/` as well."""
    one, two = make_site("--base-url=/").log_in(), make_site("--base-url=/p/").log_in()
    three = make_site().log_in()
    assert len({site.cookie.split("=")[0] for site in (one, two, three)}) == 3
    everything = "; ".join(site.cookie for site in (one, two, three))
    for site in (one, two, three):
        assert site.get(site.address.path, "HEAD", Cookie=everything)[0] == 200


def test_a_login_without_a_token_makes_a_random_one() -> None:
    assert Login(None).token != Login(None).token
    with pytest.raises(InputError):
        Login("short")
