"""What the browser gets: text as text, links only when they are links."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.pages import catalog

from run_qarnot.core import language
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.model.connections import Connection, ConnectionKind, Link
from run_qarnot.model.files import StoredFile
from run_qarnot.model.links import Filling
from run_qarnot.model.price import Price
from run_qarnot.model.view import SessionView
from run_qarnot.page.props import (
    link_row,
    option_row,
    price_row,
    problem_rows,
    result_rows,
    safe_url,
    session_row,
    shared_hours,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READY = SessionView("id", "calm-heron-42", "base", "jupyterlab", "JupyterLab", State.READY, attempt=1, created=NOW)
NO_NOTE = Message("no-reason")
TUNNEL = Connection(ConnectionKind.TUNNEL, "http://127.0.0.1:8888/lab?token=x", "run-qarnot open x", NO_NOTE)
VSCODE = Connection(ConnectionKind.VSCODE, "vscode://vscode-remote/ssh-remote+root@h:22/job", None, NO_NOTE)
SSH = Connection(ConnectionKind.SSH, "http://127.0.0.1:8888/lab", "ssh -N h", NO_NOTE)


def test_a_line_of_an_ended_session_knows_why_it_ended() -> None:
    ended = replace(READY, state=State.ENDED, reason="idle", idle_minutes=60)
    row = session_row(ended, "JupyterLab", NOW)
    assert (row["reason"], row["idle_minutes"]) == ("idle", 60)
    assert row["phase"] == "Ended. It was stopped because it was idle for 60 min; its results are kept."
    assert session_row(READY, "JupyterLab", NOW)["reason"] is None


@pytest.mark.parametrize(("hours", "shared"), [(7.6134, 7.6), (0.25, 0.25), (23.9999, 23.9), (0.001, 0.001), (4, 4)])
def test_a_link_has_hours_as_people_write_them(hours: float, shared: float) -> None:
    assert shared_hours(hours) == shared


@pytest.mark.parametrize("url", ["http://127.0.0.1:8888/lab", "https://x.example/", "vscode://vscode-remote/x"])
def test_links_pass(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript://x/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//x",
        "/x",
        "",
        None,
        "http:",
        "http://[x",
        " javascript:x",
    ],
)
def test_what_is_no_link_does_not(url: str | None) -> None:
    assert safe_url(url) is None


def test_the_best_door_is_the_one_to_open() -> None:
    row = session_row(replace(READY, connections=(TUNNEL, VSCODE, SSH)), "JupyterLab", NOW)
    assert row["open"] == {"url": TUNNEL.url, "kind": "tunnel"}
    assert row["vscode"] == VSCODE.url
    assert row["ssh"]["command"] == "ssh -N h"


def test_an_address_that_needs_a_typed_command_first_is_not_the_one_to_open() -> None:
    row = session_row(replace(READY, connections=(SSH, VSCODE)), "JupyterLab", NOW)
    assert row["open"]["kind"] == "vscode"
    assert session_row(replace(READY, connections=(SSH,)), "", NOW)["open"] is None


def test_further_pages_are_opened_by_the_same_way_as_the_app() -> None:
    links = (Link("Dask dashboard", "http://127.0.0.1:8888/proxy/8787/status"), Link("x", "javascript:alert(1)"))
    tunnel, ssh = replace(TUNNEL, links=links), replace(SSH, links=(Link("Dask dashboard", "http://127.0.0.1:1/"),))
    row = session_row(replace(READY, connections=(tunnel, ssh)), "Dask", NOW)
    assert row["links"] == [{"title": "Dask dashboard", "url": links[0].url}, {"title": "x", "url": None}]
    page = Connection(ConnectionKind.PAGE, None, None, NO_NOTE, (Link("Dask dashboard", None),))
    assert session_row(replace(READY, connections=(page, tunnel)), "Dask", NOW)["links"] == [
        {"title": "Dask dashboard", "url": None}
    ]
    assert session_row(replace(READY, state=State.STARTING, connections=(tunnel,)), "Dask", NOW)["links"] == []


def test_the_price_is_that_of_all_machines() -> None:
    row = price_row(Price(per_hour=0.04, left=50), hours=2, machines=4)
    assert (row["per_hour"], row["most"], row["left"]) == ("0.16 €", "0.32 €", "50.00 €")


def test_a_link_says_in_full_what_it_filled_in() -> None:
    address = "https://example.org/" + 100 * "long/" + "project"
    filling = Filling(image="base", machines=4, git=f"{address}@v1.0", opened="a.ipynb")
    row = link_row(filling, catalog().images["base"])
    assert row is not None
    assert [each["value"] for each in row["filled"]] == ["A command", "4", f"{address}@v1.0", "a.ipynb"]


def test_hostile_connections_are_no_links() -> None:
    bad = Connection(ConnectionKind.TUNNEL, "javascript:alert(1)", None, NO_NOTE)
    row = session_row(replace(READY, connections=(bad,)), "", NOW)
    assert row["open"] is None


@pytest.mark.parametrize("state", [State.WAITING, State.STARTING, State.STOPPING, State.ENDED, State.FAILED])
def test_nothing_is_opened_before_it_answers_or_after_the_end(state: State) -> None:
    reason = "stopped" if state is State.ENDED else None
    row = session_row(replace(READY, state=state, connections=(TUNNEL,), reason=reason), "", NOW)
    assert row["open"] is None


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_word(state: State) -> None:
    assert session_row(replace(READY, state=state), "", NOW)["state_word"]


def test_broken_entries_say_why() -> None:
    (problem,) = problem_rows(catalog())
    assert problem["title"] == "broken"
    assert "title" in problem["reason"]


def test_a_secret_never_comes_back() -> None:
    option = catalog().images["torch"].options["secret"]
    assert option_row("secret", option, "hunter2-hunter2")["value"] == ""


def test_results_are_counted_in_full_and_listed_in_part() -> None:
    files = [StoredFile(f"{number:04}", 2, NOW) for number in range(2000)]
    row = result_rows(reversed(files))
    assert (row["count"], row["size"], row["files"][0]["key"]) == (2000, 4000, "0000")
    assert len(row["files"]) == 500


def test_numbers_are_written_as_the_language_has_them() -> None:
    view = replace(READY, app_title=Message("app.batch"), cost=0.5, cost_per_hour=1.25, carbon=3.4)
    language.set_language("fr")
    try:
        french = session_row(view, "JupyterLab", NOW)
    finally:
        language.set_language("en")
    english = session_row(view, "JupyterLab", NOW)
    names = ("app", "cost", "per_hour", "carbon")
    assert [english[name] for name in names] == ["the command", "0.50 €", "1.25 €", "3 g"]
    assert [french[name] for name in names] == ["la commande", "0,50 €", "1,25 €", "3 g"]
