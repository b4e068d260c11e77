"""Sessions on the page: found again, followed while somebody looks, told in words, saved and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.desk import page_on
from support.pages import FORM, NAME, play_with_account, record, shows, sign_in, start, tell
from support.waiting import turn, until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.core import language
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.engine.output import Follower
from run_qarnot.engine.ports import free_ports
from run_qarnot.engine.session import Session
from run_qarnot.page.build import Page
from run_qarnot.page.controllers.sessions import PATIENCE_SECONDS


def at_work(method: Callable[..., Any]) -> list[object]:
    """Whose `method`, a coroutine function, the loop is running now; once for each time."""
    frames = [getattr(task.get_coro(), "cr_frame", None) for task in asyncio.all_tasks()]
    return [frame.f_locals["self"] for frame in frames if frame and frame.f_code is method.__code__]


def saves(control: Control, count: int) -> bool:
    """Whether so many snapshots were asked for."""
    return control.count("POST", "/tasks/*/snapshot") == count


def test_they_are_found_again_and_the_living_are_followed(tmp_path: Path) -> None:
    async def a_month_ago(page: Page) -> None:
        await shows(await start(page, "true", name="old"), State.ENDED)

    async def scene(page: Page) -> None:
        await shows(await start(page, "sleep 60", name="a"), State.READY)
        await shows(await start(page, "exit 3", name="b"), State.FAILED)
        tell(page.account_card, "change")
        await until(lambda: not at_work(Session.follow), "nobody to look any more")
        await sign_in(page, token)
        (a,), (b,) = page.shell.sessions, page.shell.ended
        assert [card.view["name"] for card in (a, b)] == ["a", "b"], "what runs stands above"
        assert "start again" in b.problem["todo"], "what to do is said, also by a page that did not see it fail"
        assert [card.folded for card in (a, b)] == [False, True]
        await until(lambda: at_work(Session.follow) == [a.session], "it, and it alone, to be followed")
        await shows(a, State.READY)
        assert page.shell.announcement == "a: Running: the command is at work"
        assert [row["name"] for row in page.start_card.resumable] == ["a", "b", "old"]
        tell(b, "again")
        assert page.form.current.resume == b.session.view.id != ""
        assert page.shell.older == 1
        tell(page.shell, "show_older")
        assert [(card.view["name"], card.folded) for card in page.shell.ended[1:]] == [("old", True)]
        assert page.shell.older == 0
        tell(page.shell.ended[1], "unfolded")
        await until(lambda: page.shell.ended[1].results.listing is not None, "its results")

    with LocalCluster(state_dir=tmp_path) as cluster:
        token = cluster.token
        play_with_account(a_month_ago, cluster)
    age(tmp_path, timedelta(days=30))
    with LocalCluster(state_dir=tmp_path, token=token) as cluster:
        play_with_account(scene, cluster)


def age(records: Path, by: timedelta) -> None:
    """Make what a cluster has kept older than it is: its clock cannot be turned back."""

    def earlier(record: dict[str, Any]) -> dict[str, Any]:
        return {name: _moved(value, by) for name, value in record.items()}

    for record_file in records.glob("tasks/*.json"):
        record_file.write_text(json.dumps(json.loads(record_file.read_text(), object_hook=earlier)))


def _moved(value: object, by: timedelta) -> object:
    """What is a time, by so much earlier; all else as it is."""
    if isinstance(value, str) and value.endswith("Z"):
        with contextlib.suppress(ValueError):
            return (datetime.fromisoformat(value) - by).isoformat()
    return value


def test_watching_rests_when_nobody_looks(cluster: LocalCluster) -> None:
    cluster.control.hold("Submitted")

    async def scene(page: Page) -> None:
        card = await start(page, "true")
        await shows(card, State.WAITING)
        assert at_work(Session.follow) == [card.session]
        page.sessions.check(page.shell.seen + PATIENCE_SECONDS + 1)
        await until(lambda: not at_work(Session.follow), "it to rest")
        cluster.control.release()
        assert page.account.current is not None
        async with asyncio.timeout(20):
            while not (await page.account.current.find(NAME)).view.is_over:
                pass
        assert card.view["state"] == State.WAITING, "nobody has looked"
        tell(page.shell, "ping")
        page.sessions.check(page.shell.seen + 1)
        await shows(card, State.ENDED)

    play_with_account(scene, cluster)


def test_changes_are_shown_at_most_ten_times_a_second_and_the_last_always(cluster: LocalCluster) -> None:
    cluster.control.hold("Submitted")

    async def scene(page: Page) -> None:
        card = await start(page, "true")
        await shows(card, State.WAITING)
        shown: list[str] = []
        card.observe(lambda change: shown.append(change["new"]["phase"]), "view")
        for number in range(1000):
            card.session._state.tell_doing(Message("answers", answer=f"step {number}"))
        await until(lambda: shown and shown[-1] == "it answers step 999", "the last step")
        assert len(shown) <= 3

    play_with_account(scene, cluster)


def test_a_change_of_state_is_read_out(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        page.catalog.images["page"] = page_on(next(iter(free_ports(20000))))
        tell(page.environment_card, "choose", {"id": "page"})
        tell(page.start_card, "start", FORM)
        await until(lambda: page.shell.announcement == f"{NAME}: Ready: the application answers", "the announcement")
        assert page.shell.ready == [NAME]

    play_with_account(scene, cluster)


@pytest.mark.parametrize("preset", [False, True])
def test_of_a_token_that_is_not_accepted_any_more_it_is_said_what_to_do(cluster: LocalCluster, preset: bool) -> None:
    async def scene(page: Page) -> None:
        page.account_card.preset = preset
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        assert card.view["hint"] == ""
        cluster.control.expire_token()
        # Any call may be the refused one that brings the hint; the phase comes with the next look at the task.
        await until(lambda: "does not accept this token" in card.view["phase"], "the reason")
        assert card.view["hint"] == ("token_team" if preset else "token_change")
        cluster.control.restore_token()
        await until(lambda: not card.view["hint"], "the hint to go")

    play_with_account(scene, cluster)


def test_a_command_is_never_ready_it_runs(cluster: LocalCluster) -> None:
    """Nothing of it can be opened, so that the tab does not call anybody either."""

    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        assert [card.view["state_word"], card.view["steps"][-1]["word"]] == ["Running", "Running"]
        assert page.shell.announcement == f"{NAME}: Running: the command is at work"
        assert page.shell.ready == []
        page.set_language("fr")
        assert card.view["state_word"] == "En cours"
        page.set_language("en")

    play_with_account(scene, cluster)


def test_save_and_stop_reach_the_session_and_their_failure_the_card(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        control = cluster.control
        card = await start(page, "echo abc > a.txt; sleep 60")
        await shows(card, State.READY)
        tell(card, "save")
        tell(card, "save")  # pressed twice
        await until(lambda: card.busy == "save", "the button to be taken")
        await until(lambda: card.view["saved"] and not card.busy, "the save")
        assert control.count("POST", "/tasks/*/snapshot") == 1
        control.fail_next("POST", "/tasks/*/snapshot", status=403, body={"message": "no room"})
        tell(card, "stop", {"save": True})
        await until(lambda: card.problem, "the sentence")
        assert "no room" in card.problem["what"]
        assert not card.busy
        tell(card, "stop", {"save": "yes"})  # hostile
        assert control.count("POST", "/tasks/*/abort") == 0, "what could not be saved goes on"
        tell(card, "stop", {"save": False})
        await until(lambda: card.results.listing is not None, "the results")
        assert card.view["state"] == State.ENDED
        assert card.results.listing["count"] == 1
        assert control.count("POST", "/tasks/*/snapshot") == 2
        assert control.count("POST", "/tasks/*/abort") == 1

    play_with_account(scene, cluster)


def test_a_save_that_is_never_done_keeps_no_machine(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        control = cluster.control
        card = await start(page, "echo abc > a.txt; sleep 60")
        await shows(card, State.READY)
        control.hold("snapshot")
        for number, (wish, data) in enumerate((("save", {}), ("save_and_stop", {"save": True})), start=1):
            tell(card, wish.rpartition("_")[2], data)
            await until(partial(saves, control, number), "what will never be done")
            assert card.busy == wish
        tell(card, "stop", {"save": False})
        await shows(card, State.ENDED)
        await until(lambda: not card.busy, "the stop to be done")
        assert card.problem is None

    play_with_account(scene, cluster)


def test_a_failure_shows_its_reason_and_the_output(cluster: LocalCluster) -> None:
    cluster.control.hold("Submitted")

    async def scene(page: Page) -> None:
        card = await start(page, "echo last words; echo 'http://localhost:8888/?token=abcdef'; exit 3")
        calls = record(card)
        cluster.control.release()
        await until(lambda: ("show_log", []) in calls, "the output to be unfolded")
        assert card.view["error"] == "The command ended with exit code 3."
        await until(lambda: lines(calls)[-2:], "the output")
        assert lines(calls)[-2:] == ["last words", "http://localhost:8888/?token=[hidden]"]

    play_with_account(scene, cluster)


def lines(calls: list[tuple[str, Any]]) -> list[str]:
    """What was sent to the browser as output."""
    return [line for method, arguments in calls if method == "append" for line in arguments[0]]


def test_output_is_fetched_only_while_it_is_unfolded(cluster: LocalCluster) -> None:
    def fetched() -> int:
        return cluster.control.count("GET", "/tasks/*/stdout")

    async def scene(page: Page) -> None:
        card = await start(page, "echo hello; sleep 60")
        calls = record(card)
        await shows(card, State.READY)
        assert fetched() == 0
        tell(card, "log", {"open": True})
        tell(card, "log", {"open": True})
        await until(lambda: fetched() > 1 and "hello" in lines(calls), "it to be fetched again and again")
        assert len(at_work(Follower._follow)) == 1
        assert lines(calls).count("hello") == 1
        tell(card, "log", {"open": False})
        await until(lambda: not at_work(Follower._follow), "the end of it")

    play_with_account(scene, cluster)


@pytest.fixture
def english_again() -> Iterator[None]:
    yield
    language.set_language("en")


@pytest.mark.usefixtures("english_again")
def test_everything_is_said_again_in_the_other_language(cluster: LocalCluster) -> None:
    cluster.control.hold("Submitted")

    async def scene(page: Page) -> None:
        card = await start(page, "true")
        await shows(card, State.WAITING)
        tell(card, "delete", {"files": False})
        await until(lambda: card.problem, "the sentence")
        tell(page.start_card, "form", {**FORM, "name": "Not A Name"})
        tell(page.shell, "speak", {"language": "fr"})
        assert page.shell.words["code"] == "fr"
        assert card.words["stop"] == card.share.words["share"].replace("Partager", "Arrêter")
        assert card.view["phase"].startswith("En attente")
        assert card.problem["what"] == f"« {NAME} » tourne encore."
        assert "Employez" in page.start_card.blockers[0]["text"]
        for hostile in ("xx", "", "__name__", 3):
            tell(page.shell, "speak", {"language": hostile})
        assert page.shell.words["code"] == "fr"
        assert page.shell.problem is None

    play_with_account(scene, cluster)


def test_the_account_is_not_changed_while_a_session_needs_the_page(cluster: LocalCluster) -> None:
    """It would never be stopped, and cost money until its limit."""

    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        cluster.control.hold("snapshot")
        tell(card, "stop", {"save": True})
        await until(lambda: card.busy, "the stop to begin")
        tell(page.account_card, "change")
        assert page.account_card.state == "known"
        assert f"is still working on {NAME}" in page.account_card.problem["what"]
        cluster.control.release("snapshot")
        await shows(card, State.ENDED)
        await until(lambda: not card.busy, "the stop to be done")
        tell(page.account_card, "change")
        assert (page.account_card.state, page.account_card.problem) == ("asking", None)

    play_with_account(scene, cluster)


def test_a_command_does_not_go_on_in_a_new_session(cluster: LocalCluster) -> None:
    """It would begin again. The page has no button for it, so only a hostile message asks."""

    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        assert not card.can_extend
        for hours in ("1", "", 3, None, "x" * 30):
            tell(card, "extend", {"hours": hours})
        await turn()
        assert (card.busy, card.problem) == ("", None)
        assert len(page.shell.sessions) == 1

    play_with_account(scene, cluster)


def test_how_long_it_usually_takes_is_known_from_the_accounts_own_sessions(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        first = await start(page, "sleep 1.5", name="first")
        await shows(first, State.ENDED)
        await sign_out_and_in(page)
        assert page.environment_card.usual == {}, "one alone says nothing of what is usual"
        await shows(await start(page, "sleep 1.5", name="second"), State.ENDED)
        await sign_out_and_in(page)
        assert list(page.environment_card.usual) == ["base"]
        assert 0 <= page.environment_card.usual["base"] < 20
        third = await start(page, "sleep 60", name="third")
        assert third.usual == page.environment_card.usual["base"]
        tell(page.account_card, "change")
        assert page.environment_card.usual == {}

    async def sign_out_and_in(page: Page) -> None:
        tell(page.account_card, "change")
        await sign_in(page, cluster.token)

    play_with_account(scene, cluster)
