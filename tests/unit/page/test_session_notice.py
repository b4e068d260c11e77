"""What stands in place of a session's app: a page for a person, a line for a program."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from run_qarnot.page.session_notice import RETRY_SECONDS, notice
from run_qarnot.page.words import section

NAMES = {"away": 503, "unknown": 503, "ended": 410, "closed": 403, "foreign": 403}


def asked(method: str = "GET", **headers: str) -> HTTPServerRequest:
    """A request of a visitor."""
    given = HTTPHeaders({name.replace("_", "-"): text for name, text in ({"Host": "x"} | headers).items()})
    return HTTPServerRequest(start_line=RequestStartLine(method, "/rq-0123456789ab/lab", "HTTP/1.1"), headers=given)


@pytest.mark.parametrize("name", NAMES)
def test_a_person_gets_a_page_that_leads_to_the_dashboard(name: str) -> None:
    status, headers, body = notice(name, asked(Accept="text/html", Accept_Language="fr"), "/team/")
    assert status == NAMES[name]
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert 'href="/team/"' in body.decode()
    assert section("proxy", "fr")[f"{name}_title"] in body.decode().replace("&#x27;", "'").replace("&#39;", "'")


@pytest.mark.parametrize(
    "request_",
    [
        asked(Accept="*/*"),
        asked("POST", Accept="text/html"),
        asked(Accept="text/html", Upgrade="websocket"),
        asked(Accept="text/html", Sec_Fetch_Mode="cors"),
    ],
    ids=["no page wanted", "sends something", "a websocket", "a script"],
)
def test_a_program_gets_a_line(request_: HTTPServerRequest) -> None:
    _, headers, body = notice("away", request_, "/")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body.decode().count("\n") == 1


@pytest.mark.parametrize("name", NAMES)
def test_what_passes_by_itself_says_when_to_try_again(name: str) -> None:
    _, headers, body = notice(name, asked(Accept="text/html"), "/")
    passes = NAMES[name] == 503
    assert headers.get("Retry-After") == (str(RETRY_SECONDS) if passes else None)
    assert (b"http-equiv" in body) is passes
