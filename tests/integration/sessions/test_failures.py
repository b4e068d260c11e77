"""Every failure that we have thought of, as a scenario: right state, right sentence, nothing lost or left behind.

The names are the list. Trouble is scripted at the local cluster (`qarnot_local/control/control.py`), and must be met.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.desk import MACHINE, SECONDS, Desk, at_a_desk, facts_of, until
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.cloud import connection
from run_qarnot.core.errors import InputError, RefusedError, SessionError, UnreachableError
from run_qarnot.core.state import ALIVE, State
from run_qarnot.engine import retry, run
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.files import Upload
from run_qarnot.model.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


def tasks_of(cluster: LocalCluster, name: str) -> Any:
    async def ask(desk: Desk) -> Any:
        return [session for session in await desk.account.sessions() if session.view.name == name]

    return at_a_desk(cluster, ask)


# — before anything runs —


def test_the_token_is_refused_at_the_start(cluster: LocalCluster, control: Control) -> None:
    control.expire_token()
    with pytest.raises(RefusedError, match="does not accept this token"):
        at_a_desk(cluster, lambda desk: desk.start())
    control.restore_token()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (402, {"message": "Not enough credits"}, "not have enough credits"),
        (403, {"message": "Maximum number of tasks reached"}, "reached its limit of sessions"),
        (403, {"message": "Maximum number of running tasks reached"}, "reached its limit of sessions"),
        (403, {"message": "Not for you"}, "does not allow this: Not for you"),
        (404, {"message": "No such profile: docker-network-ssh"}, "No such profile: docker-network-ssh"),
        (400, {"message": "Invalid task file. Invalid fields: constants"}, "Invalid fields: constants"),
        (409, {"message": "Conflict"}, "Conflict"),
    ],
)
def test_the_submission_is_refused(cluster: LocalCluster, control: Control, status: int, body: Any, said: str) -> None:
    control.fail_next("POST", "/tasks", status=status, body=body)

    async def scenario(desk: Desk) -> Any:
        session = await desk.start()
        with pytest.raises(RefusedError, match=said):
            await session.follow()
        return session.view

    view = at_a_desk(cluster, scenario)
    assert view.state is State.FAILED
    assert said in str(view.error)
    assert tasks_of(cluster, view.name) == []
    assert control.count("DELETE", "/jobs/*") == 1, "the job that would have limited it is not left behind"


def test_the_account_has_no_such_profile(cluster: LocalCluster) -> None:
    image = MACHINE.model_copy(update={"profile": ("not-there", "nor-this")})
    with pytest.raises(RefusedError, match="not-there, nor-this"):
        at_a_desk(cluster, lambda desk: desk.start(image))


def test_of_several_profiles_the_first_that_there_is_serves(cluster: LocalCluster) -> None:
    image = MACHINE.model_copy(update={"profile": ("not-there", "docker-network-ssh")})

    async def scenario(desk: Desk) -> None:
        async with desk.ready(image):
            pass

    at_a_desk(cluster, scenario)


@pytest.mark.parametrize("how", ["lost answer", "reset"])
@pytest.mark.parametrize("route", ["/tasks", "/jobs/"])
def test_the_answer_to_a_submission_is_lost_and_nothing_is_made_twice(
    cluster: LocalCluster, control: Control, route: str, how: Any
) -> None:
    control.fail_next("POST", route, how=how)

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            return session.view.name

    name = at_a_desk(cluster, scenario)
    assert len(tasks_of(cluster, name)) == 1
    made = [call for call in control.calls if (call.method, call.route) == ("POST", route) and call.status == 200]
    assert len(made) <= 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_bursts_of_errors_while_it_is_submitted_are_sat_out(
    cluster: LocalCluster, control: Control, status: int
) -> None:
    control.fail_next("POST", "/tasks", status=status, times=2)
    control.fail_next("POST", "/jobs/", status=status, times=2)

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            assert "Trying again" in desk.notes
            return session.view.name

    assert len(tasks_of(cluster, at_a_desk(cluster, scenario))) == 1


def test_the_storage_is_full(cluster: LocalCluster, control: Control, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 1000)
    control.set_quota("bytes", 10)

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(uploads=[Upload(tmp_path / "data", "data")], name="too-full")
        with pytest.raises(RefusedError) as caught:
            await session.follow()
        return caught.value

    error = at_a_desk(cluster, scenario)
    assert error.what == "The storage of the account is full."
    assert "`run-qarnot delete NAME --files`" in error.typed
    assert tasks_of(cluster, "too-full") == []


def test_the_account_may_have_no_other_bucket(cluster: LocalCluster, control: Control) -> None:
    control.full_quota("buckets")

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(name="one-too-many")
        with pytest.raises(RefusedError, match="files of as many sessions as it may"):
            await session.follow()
        return session.view

    assert at_a_desk(cluster, scenario).state is State.FAILED
    assert tasks_of(cluster, "one-too-many") == []


def test_it_is_given_up_while_files_travel(cluster: LocalCluster, control: Control, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"x" * 30_000_000)
    control.delay("s3:UploadPart", 0.5)

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(uploads=[Upload(tmp_path / "data", "data")], name="given-up")
        async with desk.following(session) as work:
            await until(
                session, lambda view: re.search(r": [1-9][\d.]* MB of", str(view.note)) is not None, "a part to arrive"
            )
            started = time.monotonic()
            await session.stop()
            await asyncio.wait_for(work, 10)
            assert time.monotonic() - started < 5
        return session.view

    view = at_a_desk(cluster, scenario)
    assert (view.state, view.reason) == (State.ENDED, "given-up")
    assert tasks_of(cluster, "given-up") == []


def test_it_is_given_up_while_it_is_submitted_and_does_not_run_on(cluster: LocalCluster, control: Control) -> None:
    control.delay("/tasks", 1.0, times=1)

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(name="too-late")
        async with desk.following(session) as work:
            await until(session, lambda view: "Asking the cluster" in str(view.note), "the submission")
            await session.stop()
            await asyncio.wait_for(work, 10)
        return session.view

    assert at_a_desk(cluster, scenario).state is State.ENDED
    assert [session.view.state for session in tasks_of(cluster, "too-late")] in ([], [State.ENDED])


def test_who_stops_watching_in_the_middle_of_a_submission_knows_what_runs(
    cluster: LocalCluster, control: Control
) -> None:
    control.delay("/tasks", 1.0, times=1)

    async def scenario(desk: Desk) -> None:
        session = await desk.start()
        async with desk.following(session) as work:
            await until(session, lambda view: "Asking the cluster" in str(view.note), "the submission")
            work.cancel()
        assert session.view.id, "it was submitted, and the view says so"
        await session.stop(save=False)

    at_a_desk(cluster, scenario)


# — while it runs —


@pytest.mark.parametrize("how", ["429", "500", "503", "reset", "lost answer"])
def test_trouble_while_it_is_followed_is_said_and_sat_out(cluster: LocalCluster, control: Control, how: Any) -> None:
    async def scenario(desk: Desk) -> None:
        session = await desk.start()
        async with desk.following(session):
            await until(session, lambda view: bool(view.id), "the submission")
            trouble = {"status": int(how)} if how.isdigit() else {"how": how}
            control.fail_next("GET", "/tasks/*", times=3, **trouble)
            await until(session, lambda view: "session goes on" in str(view.note), "the trouble to be said")
            await until(
                session, lambda view: view.state is State.READY and not view.note, "it to be ready all the same"
            )
            await session.stop(save=False)

    at_a_desk(cluster, scenario)


def test_slow_answers_are_waited_for_and_stop_nothing(cluster: LocalCluster, control: Control) -> None:
    control.delay("*", 0.4)

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            assert "Trying again" not in desk.notes
            started = time.monotonic()
            await session.stop()
            assert time.monotonic() - started < 15
            return session.view

    assert at_a_desk(cluster, scenario).reason == "stopped"


def test_a_cluster_that_never_answers_is_no_hang(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", (1.0, 0.5))

    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.fail_next("GET", "/tasks/*", how="timeout")
            session._run._wake.set()
            await until(session, lambda view: "no answer in time" in str(view.note), "the silence to be said")
            await until(session, lambda view: not view.note, "it to answer again")

    at_a_desk(cluster, scenario)


def test_stop_comes_through_while_a_look_at_the_cluster_hangs(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", (1.0, 4 * SECONDS))

    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.fail_next("GET", "/tasks/*", how="timeout")
            asked = control.count("GET", "/tasks/*")
            session._run._wake.set()
            await asyncio.to_thread(wait_until, lambda: control.count("GET", "/tasks/*") > asked, "the call that hangs")
            async with asyncio.timeout(SECONDS):
                await session.stop()
            assert session.view.reason == "stopped"

    at_a_desk(cluster, scenario)


def test_nobody_listens_for_a_while(cluster: LocalCluster, control: Control) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            with control.refusing():
                session._run._wake.set()
                await until(session, lambda view: "nothing listens there" in str(view.note), "the silence to be said")
                assert session.view.state is State.READY, "what we cannot see has not ended"
            await until(session, lambda view: not view.note, "it to be there again")

    at_a_desk(cluster, scenario)


def test_the_token_is_refused_in_mid_life(cluster: LocalCluster, control: Control) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.expire_token()
            session._run._wake.set()
            await until(session, lambda view: "does not accept this token" in str(view.note), "the refusal to be said")
            assert session.view.state is State.READY
            control.restore_token()
            await until(session, lambda view: not view.note, "it to be accepted again")

    at_a_desk(cluster, scenario)


def test_the_task_is_deleted_by_somebody_else(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            other = await desk.account.find(session.view.name)
            await desk.account.client.delete(facts_of(other))
            session._run._wake.set()
            return await until(session, lambda view: view.is_over, "the end")

    view = at_a_desk(cluster, scenario)
    assert (view.state, view.reason, view.connections) == (State.ENDED, "deleted", ())


def test_a_404_that_is_not_qarnots_own_is_no_end(cluster: LocalCluster, control: Control) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.fail_next("GET", "/tasks/*", status=404, body="<html>nginx 404</html>")
            session._run._wake.set()
            await until(session, lambda view: "it answers 404" in str(view.note), "the trouble to be said")
            view = await until(session, lambda view: not view.note, "it to answer again")
            assert (view.state, view.reason) == (State.READY, None)

    at_a_desk(cluster, scenario)


def test_two_dashboards_follow_one_session(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            other = await desk.account.find(session.view.name)
            async with desk.following(other):
                await until(other, lambda view: view.state is State.READY, "the other one to see it ready")
                await other.stop(save=False)
            await until(session, lambda view: view.is_over, "the first one to see the end")
            return session.view, other.view

    first, second = at_a_desk(cluster, scenario)
    assert first.state is second.state is State.ENDED


@pytest.mark.parametrize("stage", ["Submitted", "FullyDispatched"])
def test_stop_acts_at_once_before_the_machine_is_there(cluster: LocalCluster, control: Control, stage: str) -> None:
    control.hold(stage)

    async def scenario(desk: Desk) -> Any:
        session = await desk.start()
        async with desk.following(session):
            await until(session, lambda view: view.state in {State.WAITING, State.LOADING}, "the queue")
            await session.stop()
        return await session.detail()

    view = at_a_desk(cluster, scenario)
    assert (view.state, view.reason) == (State.ENDED, "stopped")
    if stage == "Submitted":
        assert (view.saved, str(view.phase)) == (None, "Ended. It was stopped before it ran; there are no results.")


# — saving and stopping —


@pytest.mark.parametrize(
    ("method", "route", "status", "body", "said"),
    [
        ("POST", "/tasks/*/snapshot", 403, {"message": "Not now"}, "Not now"),
        ("GET", "/tasks/*/snapshot/*", 200, {"id": "x", "status": "Failure"}, "the cluster reports that it failed"),
    ],
)
def test_a_snapshot_that_fails_stops_nothing_and_loses_nothing(
    cluster: LocalCluster, control: Control, method: str, route: str, status: int, body: Any, said: str
) -> None:
    control.fail_next(method, route, status=status, body=body)

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            with pytest.raises(SessionError, match=rf"could not be saved: .*{said}"):
                await session.stop()
            assert session.view.state is State.READY, "it is still running"
            await session.stop()
            return session.view

    view = at_a_desk(cluster, scenario)
    assert (view.state, view.reason) == (State.ENDED, "stopped")
    assert view.saved is not None


PERIODIC = "/tasks/*/snapshot/periodic"


def test_regular_saves_that_could_not_be_arranged_are_asked_for_until_they_are(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)
    control.fail_next("POST", PERIODIC, status=500, times=retry.TRIES + 2)

    async def scenario(desk: Desk) -> None:
        loop = asyncio.get_running_loop()
        async with desk.ready() as session:

            def are_arranged() -> Any:
                loop.call_soon_threadsafe(session._run._wake.set)
                return facts_of(session).snapshot_seconds == 300 and not session.view.note

            await asyncio.to_thread(wait_until, are_arranged, "them to be arranged")
            assert "It is not saved periodically" in desk.notes

    at_a_desk(cluster, scenario)
    assert control.count("POST", PERIODIC) == retry.TRIES + 3, "asked for again and again, they would never be due"


def test_a_session_that_is_found_again_without_regular_saves_gets_them(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)
    control.fail_next("POST", PERIODIC, status=403, body={"message": "Not yet"})

    async def scenario(desk: Desk) -> None:
        session = await desk.start(MACHINE.model_copy(update={"id": "often", "snapshot_minutes": 2}))
        async with desk.following(session):
            await until(session, lambda view: bool(view.id), "the submission")
        desk.account.catalog.images["often"] = MACHINE  # the catalog has changed: that session is as it was meant
        found = await desk.account.find(session.view.name)
        assert facts_of(found).snapshot_seconds == 0
        async with desk.following(found):
            await asyncio.to_thread(wait_until, lambda: control.count("POST", PERIODIC) == 2, "them to be asked for")
            task = await desk.account.client.task(found.view.id)
            assert task.snapshot_seconds == 120  # its own interval
            await found.stop(save=False)

    at_a_desk(cluster, scenario)


def test_a_session_that_was_meant_to_have_no_regular_saves_has_none_when_it_is_found_again(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(MACHINE.model_copy(update={"id": "unsaved", "snapshot_minutes": 0})) as session:
            desk.account.catalog.images["unsaved"] = MACHINE  # without the plugin, which wanted it so, it has some
            found = await desk.account.find(session.view.name)
            async with desk.following(found):
                await until(found, lambda view: view.state is State.READY, "it to be seen ready")
                await found.save()

    at_a_desk(cluster, scenario)
    assert control.count("POST", PERIODIC) == 0


def test_stop_waits_for_results_that_travel_already_and_a_batch_is_never_said_to_answer(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    begun, extend = tmp_path / "begun", tmp_path / "go on"
    work = f"touch '{begun}'; until [ -e '{extend}' ]; do sleep 0.1; done"
    batch = MACHINE.model_copy(update={"id": "batch", "app": "batch", "command": f'sh -c "{work}"'})
    control.hold("UploadingResults")

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(batch)
        async with desk.following(session):
            await until(session, lambda view: "is at work" in str(view.note), "its work")
            await asyncio.to_thread(wait_until, begun.exists, "its command")
            extend.touch()
            await until(session, lambda view: view.state is State.SAVING, "the end of its work")
            stopping = asyncio.create_task(session.stop())
            await until(session, lambda view: str(view.note) == "Stopping…", "the stop")
            control.release()
            await stopping
        return session.view, {str(view.phase) for view in desk.heard}

    view, phases = at_a_desk(cluster, scenario)
    assert view.reason == "finished"
    assert control.count("POST", "/tasks/*/abort") == 0
    assert not [phase for phase in phases if phase.startswith("Ready")]


def test_stop_is_asked_again_when_the_cluster_did_not_listen(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ABORT_AGAIN_SECONDS", 0.5)
    control.fail_next("POST", "/tasks/*/abort", status=200, body={})  # it says yes, and does nothing

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as stopped:
            await asyncio.wait_for(stopped.stop(save=False), SECONDS)
            return stopped.view

    assert at_a_desk(cluster, scenario).reason == "stopped"
    assert control.count("POST", "/tasks/*/abort") == 2


def test_stop_is_answered_by_500_and_stops_all_the_same(cluster: LocalCluster, control: Control) -> None:
    control.fail_next("POST", "/tasks/*/abort", status=500, times=2)
    control.fail_next("GET", "/tasks/*/snapshot/*", status=502, times=2)

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            await session.stop()
            return session.view

    assert at_a_desk(cluster, scenario).state is State.ENDED


def test_stop_when_nobody_answers_for_long_says_so_and_leaves_it_running(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)

    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.fail_next("POST", "/tasks/*/abort", status=503, times=retry.TRIES)
            with pytest.raises(UnreachableError):
                await session.stop(save=False)
            assert session.view.state is State.READY

    at_a_desk(cluster, scenario)


def test_results_that_do_not_fit_at_the_end_are_a_failure_and_what_was_saved_is_kept(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    begun, extend = tmp_path / "begun", tmp_path / "go on"
    wait = f"touch '{begun}'; until [ -e '{extend}' ]; do sleep 0.1; done"
    work = f"echo first > saved.txt; {wait}; echo second > too-late.txt"
    image = MACHINE.model_copy(update={"id": "works", "command": f'sh -c "{work}"'})

    async def scenario(desk: Desk) -> Any:
        async with desk.ready(image) as session:
            await asyncio.to_thread(wait_until, begun.exists, "the first result")
            await session.save()
            control.full_quota("bytes")
            extend.touch()
            view = await until(session, lambda view: view.is_over, "its end")
            return view, [file.key for file in await session.results.files()]

    view, kept = at_a_desk(cluster, scenario)
    assert (view.state, view.reason) == (State.FAILED, "failed")
    assert "The results could not be uploaded" in str(view.error)
    assert kept == ["saved.txt"]


def test_a_session_stops_by_itself_at_its_limit_with_nobody_watching(cluster: LocalCluster, control: Control) -> None:
    async def begin(desk: Desk) -> Any:
        async with desk.ready() as session:
            name = session.view.name
            if not session.view.is_over:
                desk.heard.clear()
            control.advance(3700)
            return name, await until(session, lambda view: view.is_over, "its limit")

    name, view = at_a_desk(cluster, begin)
    assert view.reason == "time-limit"
    assert tasks_of(cluster, name)[0].view.reason == "time-limit"


def test_a_clock_that_is_wrong_by_an_hour_changes_no_limit_and_loses_no_file(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    """The cluster's clock goes on by an hour, ours does not: the same as if this machine's were wrong."""
    control.advance(3600)
    control.refuse_skew()
    (tmp_path / "data.txt").write_text("mine")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/diary.py").write_text(
        "import pathlib\nfrom run_qarnot import hookimpl\n\n@hookimpl\ndef rq_event(session, event):\n"
        "    pathlib.Path(__file__).with_name('diary').open('a').write(f'{event.time.isoformat()}\\n')\n"
    )
    images = tmp_path / "images.toml"
    images.write_text("schema = 1\n")
    catalog = find_plugins(Settings(images=images, plugins=tmp_path / "plugins")).catalog()

    async def scenario(desk: Desk) -> Any:
        desk.account.catalog = catalog
        session = await desk.start(uploads=[Upload(tmp_path / "data.txt", "data.txt")])
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            (found,) = [each for each in await desk.account.sessions() if each.view.name == session.view.name]
            storage = desk.account.client.storage.blocking
            (stored,) = [file for file in storage.files(str(session.view.inputs)) if file.key == "data.txt"]
            address = storage.presign(str(session.view.inputs), "data.txt", 60)
            with urllib.request.urlopen(address) as answer:
                assert answer.read() == b"mine"
            await session.stop()
            assert (stored.size, session.view.reason) == (4, "stopped")
            return session.view, found.view

    followed, found = at_a_desk(cluster, scenario)
    assert abs((found.ends - found.created).total_seconds() - 3600) < 60, "what we wrote, against the cluster's time"
    assert followed.ends == found.ends
    told = [datetime.fromisoformat(line) for line in (tmp_path / "plugins/diary").read_text().split()]
    assert max(abs((time - followed.created).total_seconds()) for time in told) < 600, (
        "plugins hear of it by the cluster's clock"
    )
    assert abs((followed.created - found.created).total_seconds()) < 60
    assert followed.ready >= followed.created


# — names —


def test_a_name_in_use_is_refused_whoever_uses_it(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            with pytest.raises(InputError, match="already a session called"):
                await desk.start(name=session.view.name)

    at_a_desk(cluster, scenario)


def test_whatever_went_wrong_nothing_is_left_running(cluster: LocalCluster) -> None:
    """The last test of the file: of all sessions above, none lives."""

    async def scenario(desk: Desk) -> Any:
        return [session.view for session in await desk.account.sessions() if session.view.state in ALIVE]

    assert at_a_desk(cluster, scenario) == []
