"""What a task finds and leaves: its files, its constants, and those of its pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.exceptions import MissingTaskException
from support.tasks import command, ended, keys, running
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_snapshot", [False, True])
def test_a_name_that_is_no_text_spoils_no_list(connection: Connection, is_snapshot: bool) -> None:
    name = f"latin-{is_snapshot}".lower()
    rest = "; echo started; sleep 60" if is_snapshot else ""
    task = command(connection, r'printf x > "$(printf "caf\351")"' + rest)
    task.results = connection.create_bucket(name)
    task.submit()
    if is_snapshot:
        wait_until(lambda: "started" in task.stdout(), "the file is there")
        snapshot = task.instant()
        wait_until(lambda: task.snapshot_status(snapshot)._status.is_completed, "it is saved")
        task.abort()
    ended(task)
    assert keys(task.results) == {"caf\ufffd"}
    assert task.uuid in {each.uuid for each in connection.all_tasks()}


@pytest.fixture
def ask(cluster: LocalCluster) -> Iterator[Callable[..., Any]]:
    with requests.Session() as session:
        session.headers["Authorization"] = cluster.token

        def asked(method: str, path: str, body: Any = None) -> Any:
            answer = session.request(method, cluster.cluster_url + path, json=body, timeout=10)
            assert answer.ok, answer.text
            return answer.json() if answer.content else None

        yield asked


SIMPLE, ADVANCED = ["given-simply"], [{"bucketName": "given-simply"}]
FULL = {"bucketName": "given-simply", "filtering": {}, "resourcesTransformation": {}, "cacheTTLSec": 7776000}


def test_buckets_are_answered_in_the_list_in_which_they_were_given(ask: Any, connection: Connection) -> None:
    connection.create_bucket("given-simply").add_string("brought", "note.txt")
    body = {"name": "simple", "profile": "docker-batch", "instanceCount": 1}
    body["constants"] = [{"key": "DOCKER_CMD", "value": "cat note.txt"}]
    for given, simple, advanced in (
        ({"resourceBuckets": SIMPLE}, SIMPLE, []),
        ({"advancedResourceBuckets": ADVANCED}, [], [FULL]),
        ({"resourceBuckets": [], "advancedResourceBuckets": ADVANCED}, [], [FULL]),
    ):
        first = ask("POST", "/tasks", body | given)["uuid"]
        for uuid in (first, ask("POST", f"/tasks/{first}/clone")["uuid"]):
            found = ask("GET", f"/tasks/{uuid}")
            assert (found["resourceBuckets"], found["advancedResourceBuckets"]) == (simple, advanced)
            task = connection.retrieve_task(uuid)
            assert ended(task) == "Success"
            assert "brought" in task.stdout()
        other = ask("POST", f"/tasks/{first}/clone", {"resourceBuckets": [], "resultsBucket": "of-the-clone"})["uuid"]
        found = ask("GET", f"/tasks/{other}")
        assert (found["resourceBuckets"], found["advancedResourceBuckets"]) == ([], [])
        assert found["resultBucket"] == "of-the-clone"


def test_a_task_has_what_its_pool_has_and_its_own_comes_first(ask: Any, connection: Connection) -> None:
    for name in ("of-the-pool", "of-the-task"):
        connection.create_bucket(name).add_string(f"file {name}", "both.txt")
        connection.create_bucket(name).add_string(name, f"{name}.txt")
    pool: dict[str, Any] = {"name": "pool", "profile": "docker-batch", "resourceBuckets": ["of-the-pool"]}
    pool["constants"] = [{"key": key, "value": "pool"} for key in ("A", "B", "C")]
    uuid = ask("POST", "/pools", pool)["uuid"]
    task = {
        "name": "task",
        "poolUuid": uuid,
        "instanceCount": 1,
        "advancedResourceBuckets": [{"bucketName": "of-the-task"}],
    }
    script = "sh -c 'cat *.txt; echo; echo $A $B $C'"
    task["constants"] = [{"key": key, "value": "task"} for key in ("B", "C")] + [{"key": "DOCKER_CMD", "value": script}]
    task["forcedConstants"] = [
        {"constantName": "A", "forcedValue": None, "access": "ReadOnly"},
        {"constantName": "C", "forcedValue": "forced"},
    ]
    found = connection.retrieve_task(ask("POST", "/tasks", task)["uuid"])
    assert ended(found) == "Success"
    assert found.stdout(0).splitlines()[1:] == ["file of-the-taskof-the-poolof-the-task", "pool task forced"]
    assert set(found.constants) == {"B", "C", "DOCKER_CMD"}


def test_buckets_with_capitals_and_underscores_come_and_are_made(connection: Connection) -> None:
    """As a third of the public samples names them."""
    task = command(connection, "cp in.txt out.txt")
    task.resources = [connection.create_bucket("My_Inputs-2026")]
    task.resources[0].add_string("x", "in.txt")
    task.results = connection.retrieve_or_create_bucket("OUT_bucket")
    task.submit()
    assert ended(task) == "Success"
    assert keys(connection.retrieve_bucket("OUT_bucket")) == {"out.txt"}
    task.delete(purge_resources=True, purge_results=True)
    assert not {"My_Inputs-2026", "OUT_bucket"} & {bucket.uuid for bucket in connection.buckets()}


def test_a_bucket_that_went_is_said(cluster: LocalCluster, connection: Connection) -> None:
    """Of a task that runs, one that loses its machine, and one that still waits."""
    bucket = connection.create_bucket("soon-gone")
    task, waiting = command(connection, "echo started; sleep 60"), command(connection, "true")
    task.resources = waiting.resources = [bucket]
    task.submit()
    running(task)
    cluster.control.hold("Submitted")
    waiting.submit()
    bucket.delete()
    with pytest.raises(MissingTaskException, match="No such bucket: soon-gone"):
        task.update_resources()
    assert task.state == "FullyExecuting"
    cluster.control.release()
    cluster.control.preempt(task)
    for each in (waiting, task):
        assert ended(each) == "Failure"
        assert each.errors[0].message == "No such bucket: soon-gone. It was deleted after the task's submission."
