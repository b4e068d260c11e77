"""Tickets, the signed cookie, and the cookies of apps."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.page import visits
from run_qarnot.page.app_cookies import AppCookies
from run_qarnot.page.visits import Tickets, read_visit, sign_visit

KEY, ID, ORIGIN = "k" * 64, "rq-0123456789ab", "https://hub.example.org:8443"


def test_a_ticket_works_once_and_for_its_session_alone() -> None:
    tickets = Tickets()
    ticket = tickets.give(ID, "lab/tree/a.ipynb", ORIGIN)
    assert tickets.use(ticket, "rq-ffffffffffff") is None
    assert tickets.use(ticket, ID) is None, "who shows it at the wrong door may have stolen it"
    ticket = tickets.give(ID, "lab", ORIGIN)
    found = tickets.use(ticket, ID)
    assert found is not None
    assert (found.path, found.origin) == ("lab", ORIGIN)
    assert tickets.use(ticket, ID) is None


def test_a_ticket_is_valid_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    tickets = Tickets()
    ticket, other = tickets.give(ID, "lab", ORIGIN), tickets.give(ID, "lab", ORIGIN)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + visits.TICKET_SECONDS - 1)
    assert tickets.use(ticket, ID)
    monkeypatch.setattr(time, "monotonic", lambda: now + visits.TICKET_SECONDS + 1)
    assert tickets.use(other, ID) is None
    tickets.give(ID, "lab", ORIGIN)
    assert len(tickets._tickets) == 1, "old ones are forgotten"


@pytest.mark.parametrize("path", ["/etc", "//evil.example/", "\\evil", "lab\r\nSet-Cookie: x", "é"])
def test_a_ticket_leads_nowhere_else(path: str) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Tickets().give(ID, path, ORIGIN)


@pytest.mark.parametrize("origin", ["", "null", "ftp://a", "https://a/b", "https://a\r\n", "https://a:123456", "a.b"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Tickets().give(ID, "lab", origin)


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost", "http://127.0.0.1:8866", "https://[::1]:8866"])
def test_a_visit_remembers_its_origin(origin: str) -> None:
    Tickets().give(ID, "lab", origin)
    assert read_visit(KEY, ID, sign_visit(KEY, ID, origin)) == origin


def test_a_visit_is_of_one_session_and_one_key_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = sign_visit(KEY, ID, ORIGIN)
    assert cookie != sign_visit(KEY, ID, ORIGIN)
    assert read_visit("x" * 64, ID, cookie) is None
    assert read_visit(KEY, "rq-ffffffffffff", cookie) is None
    later = time.time() + 8 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert read_visit(KEY, ID, cookie) is None


@given(st.text(max_size=200), st.integers(0, 100), st.characters())
def test_no_other_text_is_a_visit(text: str, place: int, character: str) -> None:
    assert read_visit(KEY, ID, text) is None
    cookie = sign_visit(KEY, ID, ORIGIN)
    place = min(place, len(cookie) - 1)
    changed = cookie[:place] + character + cookie[place + 1 :]
    assert read_visit(KEY, ID, changed) == (ORIGIN if changed == cookie else None)


# cookies of apps


def test_an_app_gets_only_what_it_has_set() -> None:
    cookies = AppCookies()
    assert cookies.to_visitor("_xsrf=app; expires=x; Path=/rq-0/; HttpOnly; Domain=x", "/p/rq-0/") == (
        "_xsrf=app; expires=x; HttpOnly; Path=/p/rq-0/"
    )
    assert cookies.to_app("_xsrf=app; _xsrf=dashboard; login=secret; run-qarnot-visit=x") == "_xsrf=app"
    assert cookies.to_app("_xsrf=dashboard; login=secret") == ""


def test_an_app_cannot_ask_for_a_cookie_by_its_name() -> None:
    """It sets one of the same name, which then ends: what the browser sends of that name is the dashboard's."""
    cookies = AppCookies()
    cookies.to_visitor("login=mine; Max-Age=1", "/rq-0/")
    assert cookies.to_app("login=secret-of-the-dashboard") == ""


@pytest.mark.parametrize("text", ["run-qarnot-visit=mine", "", "=x", "novalue", " run-qarnot-visit = x; Path=/"])
def test_what_an_app_may_not_set(text: str) -> None:
    assert AppCookies().to_visitor(text, "/rq-0/") is None


def test_not_more_is_remembered_than_there_is_room_for() -> None:
    cookies = AppCookies()
    for number in range(5000):
        cookies.to_visitor(f"a={number}", "/rq-0/")
    assert len(cookies._known) == 1000
    assert cookies.to_app("a=4999") == "a=4999"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123"))), st.text(max_size=100))
def test_nothing_unknown_passes(known: list[tuple[str, str]], sent: str) -> None:
    cookies = AppCookies()
    for name, value in known:
        cookies.to_visitor(f"{name}={value}", "/rq-0/")
    passed = [pair for pair in cookies.to_app(sent).split("; ") if pair]
    assert set(passed) <= {f"{name}={value}" for name, value in known}
