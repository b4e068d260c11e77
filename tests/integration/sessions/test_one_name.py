"""The same name used twice at almost one time: one session at most, and no file of one in place of the other's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.desk import Desk, at_a_desk, desk_of, until
from support.hostile import HostileProxy, How
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError
from run_qarnot.core.state import State
from run_qarnot.model.files import Upload
from run_qarnot.model.view import SessionView

pytestmark = pytest.mark.lifecycle


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


@pytest.fixture
def proxy(cluster: LocalCluster) -> Iterator[Any]:
    with HostileProxy(cluster.storage_url) as proxy:
        yield proxy


@pytest.fixture
def upload(tmp_path: Path) -> Any:
    """Make an upload of that name and content."""

    def make(owner: str, key: str, content: bytes) -> Upload:
        path = tmp_path / owner / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return Upload(path, key)

    return make


async def tasks_of(desk: Desk, name: str) -> Any:
    return [task for task in await desk.account.client.tasks() if task.name == name]


def held(desk: Desk, bucket: str) -> Any:
    storage = desk.account.client.storage.blocking
    return {file.key: b"".join(storage.read(bucket, file.key)) for file in storage.files(bucket)}


@pytest.mark.parametrize(
    ("key", "route"), [("a", "PUT .*-in/a"), ("large", "POST .*-in/large.*uploadId"), ("other", "PUT .*-in/other")]
)
def test_what_the_second_sends_replaces_nothing_of_the_first_which_was_submitted_meanwhile(
    cluster: LocalCluster, control: Control, proxy: Any, upload: Any, key: str, route: str
) -> None:
    """The second has looked, and found nothing there; the first comes in while its last request is on its way."""
    name, submitted, size = f"at-once-{key}", threading.Event(), (8 << 20 if key == "large" else 3)
    first_content = {"a": b"one", "large": b"1" * (8 << 20)}
    method, path = route.split()
    proxy.trouble(method, path, how=How(before=lambda: submitted.wait(20)))

    async def scenario(desk: Desk) -> Any:
        async with desk_of(cluster, proxy.url) as desk_of_second:
            second = await desk_of_second.start(uploads=[upload("second", key, b"2" * size)], name=name)
            first = await desk.start(uploads=[upload("first", *each) for each in first_content.items()], name=name)
            following = asyncio.create_task(second.follow())
            await asyncio.to_thread(wait_until, lambda: proxy.count(method, path), "the request of the second")
            async with desk.following(first):
                await until(first, lambda view: bool(view.id), "the first to be submitted")
                submitted.set()
                with pytest.raises(InputError) as caught:
                    await asyncio.wait_for(following, 20)
                there = held(desk, f"{name}-in")
                await first.stop(save=False)
        assert len(await tasks_of(desk, name)) == 1
        return second.view, caught.value, there

    view, error, there = at_a_desk(cluster, scenario)
    assert view.state is State.FAILED
    assert {each: there[each] for each in first_content} == first_content
    if key == "other":
        assert "Another session with the name “at-once-other” was submitted" in error.what
        assert "lies beside the other's files in “at-once-other-in”" in error.todo
        assert control.count("DELETE", "/jobs/*") == 1, "the job that would have limited the second"
    else:
        assert f"has another file “{key}” than yours" in error.what
        assert "Choose another session name" in error.todo


def test_of_two_starts_that_send_other_files_at_once_neither_gets_what_is_the_others(
    cluster: LocalCluster, proxy: Any, upload: Any
) -> None:
    both = threading.Barrier(2, timeout=20)
    proxy.trouble("PUT", "-in/(mine|yours)", how=How(before=both.wait), times=2)

    async def scenario(desk: Desk) -> Any:
        async with desk_of(cluster, proxy.url) as through_proxy:
            starts = [
                await through_proxy.start(uploads=[upload(key, key, b"x")], name="both") for key in ("mine", "yours")
            ]
            errors = await asyncio.gather(*(start.follow() for start in starts), return_exceptions=True)
        return errors, await tasks_of(desk, "both"), held(desk, "both-in")

    errors, tasks, there = at_a_desk(cluster, scenario)
    assert [error.code for error in errors] == ["bucket-shared", "bucket-shared"]
    assert "such as “yours”" in errors[0].what
    assert (tasks, there) == ([], {"mine": b"x", "yours": b"x"})


def test_a_file_that_somebody_deletes_before_the_submission_is_missed(cluster: LocalCluster, upload: Any) -> None:
    async def scenario(desk: Desk) -> Any:
        session = await desk.start(uploads=[upload("me", "data", b"x")], name="deleted")

        def delete(view: SessionView) -> None:
            if "Asking the cluster" in str(view.note):
                desk.account.client.storage.blocking.delete_bucket("deleted-in")

        session.subscribe(delete)
        with pytest.raises(TransferError, match="“data” could not be uploaded: it was deleted"):
            await asyncio.wait_for(session.follow(), 20)
        return await tasks_of(desk, "deleted")

    assert at_a_desk(cluster, scenario) == []


def test_of_two_that_have_looked_and_are_submitted_then_the_earlier_stays(
    cluster: LocalCluster, control: Control
) -> None:
    control.delay("/tasks", 1.5, method="POST", times=1)  # of whoever comes first: so the other is submitted first

    async def scenario(desk: Desk) -> Any:
        starts = [await desk.start(name="same-moment") for _ in range(2)]
        following = [asyncio.create_task(start.follow()) for start in starts]
        done, left = await asyncio.wait(following, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert [error.code for task in done if isinstance(error := task.exception(), RunQarnotError)] == [
            "name-overtaken"
        ]
        (winner,) = (start for start in starts if start.view.id)
        await until(winner, lambda view: view.state is State.READY, "the other to be ready")
        await winner.stop(save=False)
        await asyncio.wait(left, timeout=20)
        return winner.view

    view = at_a_desk(cluster, scenario)
    assert view.reason == "stopped"
    assert control.count("POST", "/tasks") == 2
    assert at_a_desk(cluster, lambda desk: desk.account.sessions())[0].view.id == view.id


def test_the_same_start_once_more_after_it_broke_off_says_which_file_has_changed(
    cluster: LocalCluster, upload: Any
) -> None:
    async def scenario(desk: Desk) -> Any:
        storage = desk.account.client.storage.blocking
        storage.create("again-in", "again")
        storage.upload("again-in", [upload("before", "data", b"old")])
        session = await desk.start(uploads=[upload("now", "data", b"new")], name="again")
        with pytest.raises(InputError) as caught:
            await session.follow()
        return caught.value, held(desk, "again-in")

    error, there = at_a_desk(cluster, scenario)
    assert "has another file “data” than yours" in error.what
    assert "--replace" not in f"{error.todo} {error.typed}", "`launch` has no such option"
    assert there == {"data": b"old"}


def test_the_answer_to_an_upload_is_lost_and_the_file_is_not_taken_for_somebody_elses(
    cluster: LocalCluster, proxy: Any, upload: Any
) -> None:
    proxy.trouble("PUT", "-in/data", how=How(lose_answer=True))

    async def scenario(desk: Desk) -> Any:
        async with desk_of(cluster, proxy.url) as through_proxy:
            session = await through_proxy.start(uploads=[upload("me", "data", b"x")], name="lost")
            async with through_proxy.following(session):
                await until(session, lambda view: view.state is State.READY, "it to be ready")
                await session.stop(save=False)
        return held(desk, "lost-in")

    assert at_a_desk(cluster, scenario) == {"data": b"x"}
