"""Buckets that sessions left behind: found, offered, and nothing else is ever touched."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qarnot.connection import Connection
from support.command import CommandLine
from support.desk import Desk, at_a_desk, until
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.core.errors import RefusedError, SessionError
from run_qarnot.core.state import State

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]
ONE_DAY = 24 * 3600
TWO_DAYS = 2 * ONE_DAY


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One of its own: its clock is advanced."""
    with LocalCluster() as cluster:
        yield cluster


def forget(cluster: LocalCluster, name: str, seconds: float = TWO_DAYS) -> None:
    """Run a session to its end, forget it without its files, and let time pass."""

    async def scenario(desk: Desk) -> None:
        session = await desk.start(name=name)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "it to be ready")
            await session.stop(save=False)
        await session.delete()

    at_a_desk(cluster, scenario)
    cluster.control.advance(seconds)


def left_over(cluster: LocalCluster) -> Any:
    async def ask(desk: Desk) -> Any:
        return {found.bucket: found for found in await desk.account.left_over()}

    return at_a_desk(cluster, ask)


def clean_up(cluster: LocalCluster) -> None:
    async def delete(desk: Desk) -> None:
        await desk.account.delete_left_over(await desk.account.left_over())

    at_a_desk(cluster, delete)


def test_a_forgotten_sessions_buckets_are_found_after_a_day_and_only_they_are_deleted(
    cluster: LocalCluster, sdk: Connection
) -> None:
    forget(cluster, "gone", seconds=0)
    sdk.retrieve_bucket("gone-in").add_string("twelve bytes", "old.txt")
    for bucket in ("plug-in", "mine", "gone-with-a-name-like-ours-out"):
        sdk.create_bucket(bucket).add_string("precious", "data.txt")
    assert left_over(cluster) == {}, "it was there a moment ago"
    cluster.control.advance(ONE_DAY - 3600)
    assert left_over(cluster) == {}, "an upload may take a day"
    cluster.control.advance(2 * 3600)

    async def scenario(desk: Desk) -> None:
        found = await desk.account.left_over()
        assert [(each.bucket, each.session, each.files, each.size) for each in found] == [
            ("gone-in", "gone", 1, 12),
            ("gone-out", "gone", 0, 0),
        ]
        sdk.retrieve_bucket("gone-out").add_string("back again", "new.txt")
        assert [each.bucket for each in await desk.account.delete_left_over(found)] == ["gone-in"]

    at_a_desk(cluster, scenario)
    kept = {"gone-out", "plug-in", "mine", "gone-with-a-name-like-ours-out"}
    assert {bucket.uuid for bucket in sdk.buckets()} == kept
    clean_up(cluster)


def test_what_a_session_lives_in_or_may_still_need_is_never_left_over(cluster: LocalCluster, sdk: Connection) -> None:
    forget(cluster, "older")
    assert set(left_over(cluster)) == {"older-in", "older-out"}

    async def scenario(desk: Desk) -> Any:
        async with desk.ready():
            other = sdk.create_task("somebody else's", "docker-batch", 1)
            other.resources, other.results = [sdk.retrieve_bucket("older-in")], sdk.retrieve_bucket("older-out")
            other.constants["DOCKER_CMD"] = "true"
            other.submit()
            return await desk.account.left_over()

    assert at_a_desk(cluster, scenario) == [], "one lives, and older's buckets are in a task"
    assert left_over(cluster) == {}, "it has ended, and can still be continued from"


def test_a_large_file_on_its_way_counts_though_only_parts_of_it_are_there(
    cluster: LocalCluster, sdk: Connection
) -> None:
    forget(cluster, "coming")
    before = left_over(cluster)["coming-in"].changed
    storage = sdk.s3client
    upload = storage.create_multipart_upload(Bucket="coming-in", Key="large")["UploadId"]

    def comes_another_part() -> Any:
        storage.upload_part(Bucket="coming-in", Key="large", UploadId=upload, PartNumber=1, Body=b"part")
        return left_over(cluster)["coming-in"].changed > before

    wait_until(comes_another_part, "the part to count")
    clean_up(cluster)


def test_files_stay_while_another_programs_task_names_them(cluster: LocalCluster, sdk: Connection) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            await session.stop(save=False)
        task = sdk.create_task("else\x1b[2Jwhere", "docker-batch", 1)
        task.resources = [sdk.retrieve_bucket(session.view.results)]
        task.constants["DOCKER_CMD"] = "true"
        task.submit()
        task.wait()
        with pytest.raises(SessionError, match=r"in use by 'else\\x1b\[2Jwhere'"):
            await session.delete(files=True)
        task.delete()
        await session.delete(files=True)

    at_a_desk(cluster, scenario)


def test_a_tag_of_another_session_or_none_at_all_proves_nothing(cluster: LocalCluster, sdk: Connection) -> None:
    forget(cluster, "one")
    tags = {"TagSet": [{"Key": "run-qarnot", "Value": "two"}]}
    sdk.s3client.put_bucket_tagging(Bucket="one-in", Tagging=tags)
    sdk.s3client.delete_bucket_tagging(Bucket="one-out")
    assert left_over(cluster) == {}


def test_a_storage_that_takes_no_tags_starts_sessions_all_the_same(cluster: LocalCluster) -> None:
    with cluster.control.expecting():
        cluster.control.fail_next("PUT", "s3:PutBucketTagging", status=501, code="NotImplemented", times=2)
        forget(cluster, "untagged")
    assert left_over(cluster) == {}


def test_when_the_storage_does_not_answer_nothing_is_deleted(cluster: LocalCluster, sdk: Connection) -> None:
    forget(cluster, "unsure")
    cluster.control.fail_next("GET", "s3:GetBucketTagging", status=503, times=None)
    with pytest.raises(Exception, match="storage does not answer"):
        left_over(cluster)
    cluster.control.reset()
    assert set(left_over(cluster)) == {"unsure-in", "unsure-out"}
    clean_up(cluster)


def at_a_terminal(cli: CommandLine, typed: str, *arguments: Any) -> Any:
    """Run a command whose standard input is a terminal; return what it prints."""
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        cli.command(*arguments), env=dict(cli.environment), cwd=cli.folder, text=True,
        stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.write(terminal, typed.encode())
    out, err = process.communicate(timeout=30)
    os.close(terminal)
    os.close(theirs)
    assert process.returncode == 0
    return out, err


ANSWERS = pytest.mark.parametrize(("typed", "deleted"), [("n\n", False), ("\n", False), ("\x04", False), ("y\n", True)])


@ANSWERS
def test_the_command_asks_before_files_go(cli: CommandLine, cluster: LocalCluster, typed: str, deleted: bool) -> None:
    async def run(desk: Desk) -> None:
        session = await desk.start(name="asked-for")
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "it to be ready")
            await session.stop(save=False)

    def is_there() -> Any:
        return "asked-for" in cli("sessions").out

    if not is_there():
        at_a_desk(cluster, run)
    unasked = cli("delete", "asked-for", "--files", expect=1).err.splitlines()
    assert len(unasked) == 2
    assert "--yes" in unasked[1]
    _, err = at_a_terminal(cli, typed, "delete", "asked-for", "--files")
    assert (
        "Delete asked-for with all its files, those that were sent and its results? There is no way back. [y/N]" in err
    )
    assert ("asked-for is forgotten." in err) is deleted
    assert ("Nothing was deleted." in err) is not deleted
    assert is_there() is not deleted


@ANSWERS
def test_the_command_lists_and_asks_before_it_deletes(
    cli: CommandLine, cluster: LocalCluster, typed: str, deleted: bool
) -> None:
    if not left_over(cluster):
        forget(cluster, "asked")
    out, err = at_a_terminal(cli, typed, "delete", "--left-over")
    assert "asked-in" in out
    assert "There is no way back. [y/N]" in err
    assert ("Deleted: asked-in, asked-out." in err) is deleted
    assert ("Nothing was deleted." in err) is not deleted
    assert (left_over(cluster) == {}) is deleted


def test_nobody_there_to_ask_is_a_no_and_yes_is_for_programs(cli: CommandLine, cluster: LocalCluster) -> None:
    forget(cluster, "scripted")
    assert "Nothing was deleted." in cli("delete", "--left-over").err
    assert "Deleted: scripted-in, scripted-out." in cli("delete", "--left-over", "--yes").err
    assert "Nothing is left over" in cli("delete", "--left-over").err
    for wrong in ((), ("some-session", "--left-over")):
        assert "either a session or --left-over" in cli("delete", *wrong, expect=2).err


def test_tags_and_dates_of_buckets_survive_a_restart_of_the_cluster(tmp_path: Path) -> None:
    with LocalCluster(state_dir=tmp_path, token="same") as cluster:
        forget(cluster, "kept")
    with LocalCluster(state_dir=tmp_path, token="same") as cluster:
        cluster.control.advance(TWO_DAYS)
        assert set(left_over(cluster)) == {"kept-in", "kept-out"}


@pytest.mark.parametrize("files", [True, False])
def test_a_session_that_was_refused_can_be_forgotten_with_what_it_has_left(cluster: LocalCluster, files: Any) -> None:
    cluster.control.fail_next("POST", "/tasks", status=402, body={"message": "Not enough credits"})
    cluster.control.clear_calls()

    async def scenario(desk: Desk) -> Any:
        session = await desk.start(name="never-ran")
        with pytest.raises(RefusedError):
            await session.follow()
        await session.delete(files=files)
        return {bucket for bucket in desk.account.client.storage.blocking.buckets() if bucket.startswith("never-ran-")}

    assert at_a_desk(cluster, scenario) == (set() if files else {"never-ran-in", "never-ran-out"})
    assert cluster.control.count("DELETE", "/tasks/*") == 0


def test_one_that_was_refused_and_started_again_leaves_the_files_to_the_other(cluster: LocalCluster) -> None:
    cluster.control.fail_next("POST", "/tasks", status=402, body={"message": "Not enough credits"})

    async def scenario(desk: Desk) -> None:
        refused, again = await desk.start(name="twice"), await desk.start(name="twice")
        with pytest.raises(RefusedError):
            await refused.follow()
        async with desk.following(again):
            await until(again, lambda view: view.state is State.READY, "it to be ready")
            with pytest.raises(SessionError, match="are in use"):
                await refused.delete(files=True)
            await again.stop(save=False)
        await refused.delete(files=True)
        assert {"twice-in", "twice-out"} <= set(desk.account.client.storage.blocking.buckets())
        await again.delete(files=True)
        assert not {"twice-in", "twice-out"} & set(desk.account.client.storage.blocking.buckets())

    at_a_desk(cluster, scenario)
