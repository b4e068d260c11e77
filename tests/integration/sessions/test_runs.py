"""A session lasts: it runs again and again with its name, its address and its files, and never twice at once."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import qarnot
from support.desk import MACHINE, Desk, at_a_desk, desk_of, facts_of, until
from support.ssh import make_key
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.options import Option
from run_qarnot.cloud import models
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.state import FINAL, State, observed_state
from run_qarnot.engine.copying import Copies
from run_qarnot.engine.planning import Planner
from run_qarnot.engine.session import Session
from run_qarnot.model.files import Upload
from run_qarnot.model.plan import Label
from run_qarnot.model.spec import SessionSpec

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]

WORK = MACHINE.model_copy(
    update={
        "id": "work",
        "command": "sh -c 'test -f made.txt || echo $WORD > made.txt; echo done; sleep 1000'",
        "ssh_keys": "many",
        "options": {"word": Option(constant="WORD", default="none"), "more": Option(constant="MORE")},
    }
)


async def ran(desk: Desk, session: Session, *, save: bool = True) -> None:
    """Follow a session until it is ready and its command has done what it does, and stop it."""
    async with desk.following(session):
        await until(session, lambda view: view.state is State.READY, "the session to be ready")
        assert session.facts is not None
        if "echo done" in facts_of(session).constants.get("DOCKER_CMD", ""):  # its SSH server may greet before
            await said(session, "done")
        await session.stop(save=save)


async def said(session: Session, word: str) -> None:
    """Wait until the latest run has printed a line."""
    printed = asyncio.Event()
    unsubscribe = session.subscribe_log(lambda lines: printed.set() if word in lines else None)
    try:
        await asyncio.wait_for(printed.wait(), 30)
    finally:
        unsubscribe()


async def one_run(sessions: Iterable[Session]) -> TaskSnapshot:
    """Wait until a session that is open twice is ready in both places; return the task that both follow."""
    found = []
    for each in sessions:
        await until(each, lambda view: view.state is State.READY, "the one run")
        assert each.facts is not None
        found.append(each.facts)
    assert len({facts.id for facts in found}) == 1
    return found[0]


def test_name_files_options_and_keys_go_on_in_another_run_with_its_own_limit(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    key = make_key(tmp_path).read_text().strip()

    async def scenario(desk: Desk) -> None:
        account = desk.account
        account.catalog.images.update(work=WORK, machine=MACHINE)
        spec = SessionSpec(WORK, "hours", 1, user_key=key, options={"word": "first"})
        machine = {"scheduling": "on-demand", "hardware": {"minimum_cores": 1, "ssd": True}}
        session = await account.start(dataclasses.replace(spec, **machine), [])  # type: ignore[arg-type]
        async with desk.following(session):
            first = await until(session, lambda view: view.state is State.READY, "the first run")
            cluster.control.advance(1)  # the platform gives times in whole seconds; runs are told apart by them
            await account.extend(session, 2)
        assert [(run.id, run.reason) for run in session.view.runs] == [(first.id, "stopped")]
        assert session.view.saved is not None
        async with desk.following(session):
            second = await until(session, lambda view: view.state is State.READY, "the second run")
            before, facts = session.tasks
            assert (second.id, second.name, second.run, second.attempt) == (first.id, "hours", 2, 1)
            assert second.created == first.created
            assert second.started is not None
            assert second.ends is not None
            assert 7190 < (second.ends - second.started).total_seconds() < 7210
            assert facts.resources == before.resources == ("hours-in",)
            assert facts.results == before.results == "hours-out"
            assert facts.session_id == before.session_id == before.launch_id != facts.launch_id
            assert facts.labels["rq-session"] == before.labels["rq-session"]
            assert facts.constants["WORD"] == "first"
            assert (facts.scheduling, facts.hardware) == tuple(machine.values())
            assert "MORE" not in facts.constants
            lines, lines_before = (each.constants["DOCKER_SSH"].splitlines() for each in (facts, before))
            assert lines[0] == key
            assert lines[1:] != lines_before[1:], "each run has a key of ours"
            await session.stop(save=False)
        cluster.control.advance(1)
        await account.start_again(session, image=MACHINE, hours=3)
        await ran(desk, session)
        assert [run.reason for run in session.view.runs] == ["stopped"] * 3
        (found,) = await account.sessions()
        assert (found.view.runs, found.view.image) == (session.view.runs, "machine")
        assert (await account.find(found.tasks[1].id)).view.id == first.id, "each run leads to the session"
        assert (await found.detail()).cost == pytest.approx(sum(run.cost or 0 for run in found.view.runs))

    at_a_desk(cluster, scenario)


@pytest.mark.parametrize(
    ("change", "hours", "said"),
    [
        ({"app": "batch"}, 2, "cannot be changed.*would start from the beginning"),
        ({}, 25, "25 hours is not possible"),
        ({"options": {"plugins-own": Option()}}, 2, "the values of plugins-own are no longer known"),
        (
            {"options": {"pass": Option(type="secret", constant="QARNOT_SECRET__P", default="x")}},
            2,
            "the values of pass",
        ),
    ],
)
def test_what_cannot_go_on_is_said_and_runs_on(
    cluster: LocalCluster, change: dict[str, Any], hours: float, said: str
) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(WORK.model_copy(update=change)) as session:
            with pytest.raises((InputError, SessionError), match=said):
                await desk.account.extend(session, hours)
            assert session.view.state is State.READY
            assert not (await desk.account.find(session.view.name)).view.is_over

    at_a_desk(cluster, scenario)


def test_a_session_that_cannot_be_saved_runs_on_and_no_other_run_is_started(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(WORK) as session:
            with cluster.control.expecting():
                cluster.control.fail_next("POST", "/tasks/*/snapshot", status=403, body={"message": "Not now"})
                with pytest.raises(SessionError, match="Not now"):
                    await desk.account.extend(session, 2)
            assert (session.view.state, session.view.run) == (State.READY, 1)
            assert len(await desk.account.client.tasks()) == 1

    at_a_desk(cluster, scenario)


def test_before_anything_runs_it_is_started_anew_instead(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK)
        with pytest.raises(SessionError, match=r"cannot be changed.*Nothing is running yet"):
            await desk.account.extend(session, 2)

    at_a_desk(cluster, scenario)


def test_a_session_that_runs_is_not_started_again_but_shown(cluster: LocalCluster) -> None:
    """Another page has it as it was before somebody started it again."""

    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK)
        await ran(desk, session)
        async with desk_of(cluster) as elsewhere:
            elsewhere.account.catalog.images["work"] = WORK
            other = await elsewhere.account.find(session.view.name)
            await elsewhere.account.start_again(other)
            async with elsewhere.following(other):
                await until(other, lambda view: view.state is State.READY, "the second run")
                with pytest.raises(SessionError, match="is running already"):
                    await desk.account.start_again(session)
                assert session.view.run == 2
                async with desk.following(session):
                    await until(session, lambda view: view.state is State.READY, "the run that the other has started")
                    await other.stop(save=False)
                    await until(session, lambda view: view.is_over, "its end")
        assert len(await desk.account.client.tasks()) == 2

    at_a_desk(cluster, scenario)


def test_of_two_that_start_it_again_at_one_moment_both_have_the_one_run(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK)
        await ran(desk, session)
        control.clear_calls()
        control.delay("/tasks", 1.5, method="POST", times=1)  # of whoever comes first: the other is submitted first
        async with desk_of(cluster) as elsewhere:
            elsewhere.account.catalog.images["work"] = WORK
            both = [(desk, session), (elsewhere, await elsewhere.account.find(session.view.name))]
            for each, one in both:
                await each.account.start_again(one)
            following = [asyncio.create_task(one.follow()) for _, one in both]
            facts = await one_run(one for _, one in both)
            await session.stop(save=False)
            await asyncio.wait_for(asyncio.gather(*following), 20)
        assert control.count("POST", "/tasks") == 2
        assert [task.id for task in await desk.account.client.tasks()] == [facts.id, session.view.id]

    at_a_desk(cluster, scenario)


@pytest.mark.parametrize("other", ["extends", "starts"])
def test_two_that_want_it_to_go_on_at_one_moment_get_one_run(
    cluster: LocalCluster, control: Control, other: str
) -> None:
    """Whoever comes first: its task is made late, so that the other one has submitted its own by then."""

    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK)
        async with desk.following(session) as work, desk_of(cluster) as elsewhere:
            await until(session, lambda view: view.state is State.READY, "the first run")
            elsewhere.account.catalog.images["work"] = WORK
            theirs = await elsewhere.account.find(session.view.name)
            works = [work, asyncio.create_task(theirs.follow())]
            await until(theirs, lambda view: view.state is State.READY, "the first run, seen by the other")
            control.clear_calls()
            control.delay("/tasks", 1.5, method="POST", times=1)
            if other == "extends":
                await asyncio.gather(desk.account.extend(session, 2), elsewhere.account.extend(theirs, 3))
            else:
                await desk.account.extend(session, 2)
                await elsewhere.account.start_again(theirs)
            # As the page does: whoever followed the first run to its end may have gone before the next one began.
            works += [
                asyncio.create_task(each.follow())
                for each, done in zip((session, theirs), works, strict=True)
                if done.done()
            ]
            await asyncio.gather(session.submitted(), theirs.submitted())
            for each in (session, theirs):
                await until(each, lambda view: (view.run, view.state) == (2, State.READY), "the one second run")
            assert session.facts is not None
            assert theirs.facts is not None
            assert session.facts.id == theirs.facts.id
            found = {task.id: observed_state(task.state) for task in await desk.account.client.tasks()}
            wanted = [task for task, state in found.items() if state not in {State.STOPPING, *FINAL}]
            assert wanted == [session.facts.id], "the other one's is being deleted, if it is there at all"
            assert session.view.ends == theirs.view.ends, "both show the limit of the one run"
            await session.stop(save=False)
            await asyncio.wait_for(asyncio.gather(*works), 20)
            tasks = await desk.account.client.tasks()
            assert [task.id for task in tasks] == [session.facts.id, session.view.id]

    at_a_desk(cluster, scenario)


def test_of_two_starts_of_one_second_the_later_one_may_win_and_still_there_is_one_run(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster's times are whole seconds, here hours. Its ids decide then, and here the last one is the lowest."""
    ids = itertools.count(2**128 - 1, -(2**64))
    monkeypatch.setattr("qarnot_local.runtime.record.uuids.uuid4", lambda: uuid.UUID(int=next(ids)))
    read = models.read_time
    coarse = lambda text: (time := read(text)) and time.replace(minute=0, second=0)  # noqa: E731
    monkeypatch.setattr(models, "read_time", coarse)

    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK)
        await ran(desk, session)
        control.delay("/tasks", 0.6, method="POST", times=1)
        async with desk_of(cluster) as elsewhere:
            elsewhere.account.catalog.images["work"] = WORK
            both = [(desk, session), (elsewhere, await elsewhere.account.find(session.view.name))]
            for each, one in both:
                await each.account.start_again(one)
            following = [asyncio.create_task(one.follow()) for _, one in both]
            await asyncio.gather(*(one.submitted() for _, one in both))
            facts = await one_run(one for _, one in both)
            await session.stop(save=False)
            await asyncio.wait_for(asyncio.gather(*following), 20)
        assert sorted(task.id for task in await desk.account.client.tasks()) == sorted([facts.id, session.view.id])

    at_a_desk(cluster, scenario)


def test_what_is_uploaded_after_a_run_wins_over_what_that_left_and_nothing_else_does(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    """Also what another program uploads; what is uploaded with ours is not lost in silence."""
    command = (
        "sh -c 'cat asked.txt kept.txt > seen.txt; echo of the run > asked.txt; echo of the run > kept.txt; "
        "echo done; sleep 1000'"
    )
    image = WORK.model_copy(update={"command": command})

    def upload(name: str, text: str) -> Upload:
        (tmp_path / name).write_text(text)
        return Upload(tmp_path / name, name)

    async def scenario(desk: Desk) -> None:
        given = [upload("asked.txt", "given\n"), upload("kept.txt", "given\n")]
        session = await desk.start(image, uploads=given, name="again")
        await ran(desk, session)
        assert session.results.head("seen.txt") == b"given\ngiven\n"
        ended = int(time.time())
        await asyncio.to_thread(
            wait_until, lambda: int(time.time()) > ended, "the next second: the storage tells no less"
        )
        with pytest.raises(InputError, match=r"asked\.txt"):
            await session.add([upload("asked.txt", "new\n")])
        await session.add([upload("asked.txt", "new\n")], replace=True)
        qarnot.Connection(
            client_token=cluster.token, cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, logger=None
        ).retrieve_bucket("again-in").add_string("theirs\n", "seen.txt")
        await desk.account.start_again(session)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the second run")
            assert "seen.txt" not in [file.key for file in await session.results.files()], "the uploaded one wins"
            await said(session, "done")
            await session.stop()
        assert session.results.head("seen.txt") == b"new\nof the run\n"

    at_a_desk(cluster, scenario)


def test_a_copy_is_independent_of_what_it_was_copied_from(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    (tmp_path / "given.txt").write_text("given")

    async def scenario(desk: Desk) -> None:
        account, storage = desk.account, desk.account.client.storage.blocking
        older = await desk.start(WORK, uploads=[Upload(tmp_path / "given.txt", "given.txt")], name="older")
        await ran(desk, older)
        copies = await account.copies("older")
        assert isinstance(copies, Copies)
        names = sorted(copy.file.key for copy in copies.files)
        assert {"given.txt", "made.txt"} <= set(names)
        assert copies.size > 0
        assert copies.free is not None
        control.clear_calls()
        copy = await account.start(SessionSpec(WORK, "newer", 1, resume="older"), [])
        copy.subscribe(desk.heard.append)
        await ran(desk, copy)
        assert f"Copying {len(names)} files" in desk.notes
        assert copy.facts is not None
        assert copy.facts.resources == ("newer-in",)
        assert sorted(file.key for file in storage.files("newer-in")) == names
        for key in names:
            both = (b"".join(storage.read(bucket, key)) for bucket in ("newer-in", "older-out"))
            assert key == "given.txt" or len(set(both)) == 1
        assert await older.deletable_buckets() == ["older-in", "older-out"]
        await older.delete(files=True)
        assert [session.view.name for session in await account.sessions()] == ["newer"]
        await account.start_again(copy)
        await ran(desk, copy)
        await copy.delete(files=True)
        assert await account.client.tasks() == []
        assert storage.buckets() == {}

    at_a_desk(cluster, scenario)


def test_there_is_no_copy_where_there_is_no_room_for_it(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        session = await desk.start(WORK, name="large")
        await ran(desk, session)
        copies = await desk.account.copies("large")
        dataclasses.replace(copies, free=None).check()
        with pytest.raises(InputError, match=r"A copy of “large” needs .*bytes"):
            dataclasses.replace(copies, free=1.0).check()

    at_a_desk(cluster, scenario)


def as_version_0_1(cluster: LocalCluster, name: str, buckets: list[str], image: Image = WORK) -> str:
    """Submit a task as version 0.1 did: without the label of a session, continued from the buckets of another one."""
    connection = qarnot.Connection(
        client_token=cluster.token, cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, logger=None
    )
    task = connection.create_task(name, image.profile[0], 1, shortname=f"rq-{name}")
    task.constants["DOCKER_REPO"], task.constants["DOCKER_CMD"] = "library/debian", "sleep 1000"
    task.tags, task.labels = ["run-qarnot"], {"rq-image": image.id, "rq-app": "ssh", "rq-launch": f"rq-{name}"}
    task.resources = [connection.retrieve_or_create_bucket(bucket) for bucket in buckets]
    task.results = connection.retrieve_or_create_bucket(f"{name}-out")
    task.submit()
    return str(task.uuid)


def test_sessions_of_version_0_1_are_shown_run_again_and_are_deleted_only_in_their_order(
    cluster: LocalCluster,
) -> None:
    as_version_0_1(cluster, "first", ["first-in"])
    as_version_0_1(cluster, "second", ["first-in", "first-out", "second-in"])

    async def scenario(desk: Desk) -> None:
        desk.account.catalog.images["work"] = WORK
        named = {session.view.name: session for session in await desk.account.sessions()}
        first, second = named["first"], named["second"]
        for session in (first, second):
            await session.stop(save=False)
        assert (first.view.name, first.view.run, len(second.view.runs)) == ("first", 1, 1)
        with pytest.raises(SessionError, match="in use by second"):
            await first.delete(files=True)
        await desk.account.start_again(second)
        await ran(desk, second)
        assert second.facts is not None
        assert second.facts.resources == ("first-in", "first-out", "second-in")
        assert second.facts.label(Label.SESSION) == "rq-second"
        spec = SessionSpec(WORK, "second", 1)
        plan = await Planner(desk.account.client, desk.account.catalog, cluster.token).next(second.facts, spec)
        assert (plan.resources, plan.results) == (second.facts.resources, "second-out")
        (found, _) = await desk.account.sessions()
        assert len(found.view.runs) == 2
        with pytest.raises(SessionError, match="in use by second"):
            await first.delete(files=True)
        await found.delete(files=True)
        await first.delete(files=True)
        assert desk.account.client.storage.blocking.buckets() == {}

    at_a_desk(cluster, scenario)
