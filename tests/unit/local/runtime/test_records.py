"""Records of tasks, jobs and pools: in memory and, with a folder, on disk."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from qarnot_local.runtime import dependencies
from qarnot_local.runtime.definition import JobDefinition, PoolDefinition, TaskDefinition
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.pools import CLOSED, CLOSING, Pool
from qarnot_local.runtime.record import Record
from qarnot_local.runtime.record_store import RecordStore
from qarnot_local.runtime.secrets_store import ConflictError, Secrets
from qarnot_local.runtime.tasks import (
    FAILURE,
    SUCCESS,
    Instance,
    OpenForward,
    Snapshot,
    SnapshotConfig,
    Task,
    range_text,
    ranges_of,
)
from qarnot_local.wire import now


def test_a_task_is_the_same_after_a_restart_but_for_its_forwards(tmp_path: Path) -> None:
    task = Task(
        TaskDefinition.model_validate({"name": "x", "shortname": "short", "constants": [{"key": "A", "value": "b"}]})
    )
    task.instances = [Instance(0, dispatched=now(), results={"a", "b"}, forwards=[OpenForward(22, "127.0.0.1", 5000)])]
    task.instances[0].error = task.fail("CODE", "message")
    task.snapshots["s"] = Snapshot("s", task.uuid, SnapshotConfig("bucket", ""), size=5)
    task.stdout.write("one\ntwo", 0)
    task.move(FAILURE)
    RecordStore(Task, tmp_path).save(task)
    (again,) = RecordStore(Task, tmp_path)
    assert again.stdout.texts() == task.stdout.texts()
    assert again.instances[0].forwards == []
    task.instances[0].forwards = []
    again.stdout, again.stderr = task.stdout, task.stderr
    assert again == task


def test_records_are_found_by_id_and_short_name_and_removed(tmp_path: Path) -> None:
    store = RecordStore(Job, tmp_path)
    job = Job(JobDefinition(name="x", shortname="short"))
    store.save(job)
    assert store.find(job.uuid.upper()) is store.find("short") is job
    store.remove(job)
    assert (len(store), list(tmp_path.iterdir())) == (0, [])


def test_a_job_ends_after_its_wall_time() -> None:
    job = Job(JobDefinition.model_validate({"maxWallTime": "1.00:00:00"}))
    assert job.ends == job.created + timedelta(days=1)
    assert Job(JobDefinition()).ends is None


def test_a_pool_is_open_until_it_closes() -> None:
    pool = Pool(PoolDefinition())
    assert pool.is_open
    pool.move(CLOSING)
    pool.move(CLOSED)
    assert (pool.is_open, pool.previous_state, pool.ended is not None) == (False, CLOSING, True)


@pytest.mark.parametrize(
    ("text", "numbers"), [("0-2,4", [0, 1, 2, 4]), ("3,3", [3]), ("2-1", []), ("x", []), ("0-9999", [])]
)
def test_ranges(text: str, numbers: list[int]) -> None:
    assert ranges_of(text) == numbers
    assert ranges_of(range_text(numbers)) == numbers


def test_a_task_waits_for_those_it_depends_on() -> None:
    first = Task(TaskDefinition())
    later = Task(TaskDefinition.model_validate({"dependencies": {"dependsOn": [first.uuid]}}))
    states = []
    for state in (first.state, FAILURE, SUCCESS):
        first.state = state
        states.append(dependencies.answer(later, lambda _: first)["state"])
    assert states == [dependencies.WAITING, dependencies.NOT_FULFILLED, dependencies.FULFILLED]
    assert dependencies.answer(later, lambda _: None)["state"] == dependencies.NOT_FULFILLED


def test_secrets_have_folders_and_outlive_the_cluster(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets.json")
    secrets.create("/a/b", "1")
    for clash in ("a/b", "a", "a/b/c", ""):
        with pytest.raises(ConflictError):
            secrets.create(clash, "2")
    assert secrets.update("a/b", "3")
    assert not secrets.update("a/c", "3")
    again = Secrets(tmp_path / "secrets.json")
    assert (again.get("a/b"), again.below(""), again.below("a"), again.below("b")) == ("3", ["a/"], ["b"], None)
    assert again.delete("a/b")
    assert not again.has("a/b")


def test_a_record_keeps_the_state_before() -> None:
    for record, first in ((Job(JobDefinition()), "Active"), (Task(TaskDefinition()), "Submitted")):
        assert isinstance(record, Record)
        record.move("Next")
        assert (record.state, record.previous_state) == ("Next", first)
        assert record.previously_changed is not None
        assert record.created <= record.previously_changed <= record.changed <= record.modified
