"""Tasks with several instances, tasks that wait for others, tasks that are tried again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from support.tasks import command, ended, keys, running
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.runtime.output import Output

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_trouble(cluster: LocalCluster) -> Iterator[None]:
    yield
    cluster.control.reset()


def several(connection: Connection, script: str, what: int | str) -> Any:
    task = command(connection, script)
    if isinstance(what, str):
        task.instancecount = 0
        task.advanced_range = what
    else:
        task.instancecount = what
    return task


def lines(text: str) -> set[str]:
    return {line for line in text.splitlines() if "Local cluster" not in line}


def test_each_instance_knows_its_number_and_has_its_own_output(connection: Connection) -> None:
    task = several(connection, "echo I am $INSTANCE_ID of $INSTANCE_COUNT; echo $QRANK > $QRANK.txt", 3)
    task.results = connection.create_bucket("several")
    task.submit()
    assert ended(task) == "Success"
    assert lines(task.stdout()) == {f"{number}> I am {number} of 3" for number in range(3)}
    assert lines(task.stdout(2)) == {"I am 2 of 3"}
    assert lines(task.fresh_stdout(1)) == {"I am 1 of 3"}
    assert task.fresh_stdout(1) == ""
    assert keys(task.results) == {"0.txt", "1.txt", "2.txt"}
    done = {each.instance_id: each for each in task.completed_instances}
    assert [done[number].results for number in range(3)] == [[f"s3://localhost/several/{n}.txt"] for n in range(3)]
    assert (task.status.succeeded_range, task.status.failed_range) == ("0-2", "")
    with pytest.raises(Exception, match="No such task instance"):
        task.stdout(3)


def test_lines_of_instances_are_never_mixed(connection: Connection) -> None:
    """Each begins a line, waits until the other has begun its own, and goes on with it; the last one has no end."""
    script = "meet() { touch ../../$1-$QRANK; while [ ! -e ../../$1-0 -o ! -e ../../$1-1 ]; do sleep 0.02; done; }; "
    script += r"printf A$QRANK; meet begun; printf B$QRANK\\\r; meet returned; printf \\\nC$QRANK"
    task = several(connection, script, 2)
    task.submit()
    assert ended(task) == "Success"
    printed = [line for line in task.stdout().split("\n") if "Local cluster" not in line]
    assert sorted(printed) == sorted(["0> A0B0\r", "0> C0", "1> A1B1\r", "1> C1"])


def test_a_line_of_the_only_instance_is_seen_while_it_is_written(connection: Connection) -> None:
    script = r"printf half\\\r; while [ ! -e on ]; do sleep 0.02; done; printf \\\nline\\\rlast"
    task = command(connection, script)
    task.resources = [bucket := connection.create_bucket("half")]
    task.submit()
    wait_until(lambda: task.stdout().endswith("0> half"), "half a line is seen")
    bucket.add_string("", "on")
    task.update_resources()
    assert ended(task) == "Success"
    assert task.stdout().endswith("\n0> half\r\n0> line\r0> last")


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_line_without_an_end_costs_no_more_than_others(is_shared: bool) -> None:
    """All of the cluster waits while it is taken apart: minutes, when each character was looked at from all before."""
    output = Output()
    output.is_shared = is_shared
    begun = time.process_time()
    for _ in range(8):
        output.feed(b"x" * (1 << 16))
    for _ in range(1 << 16):
        output.feed(b".")
    output.flush(0)
    assert time.process_time() - begun < 3
    assert output.aggregate.everything() == "0> " + "x" * (1 << 19) + "." * (1 << 16)


def test_a_range_names_its_instances(connection: Connection) -> None:
    task = several(connection, "echo ${INSTANCE_ID}; test $INSTANCE_ID != 7", "2-3,7")
    task.submit()
    assert ended(task) == "Failure"
    assert lines(task.stdout()) == {"2> 2", "3> 3", "7> 7"}
    assert task.status.succeeded_range == "2-3"
    assert task.status.failed_range == "7"
    assert task.errors[0].message == "The command ended with exit code 1."


def test_a_task_larger_than_the_quota_goes_through_partial_states(
    cluster: LocalCluster, connection: Connection
) -> None:
    cluster.control.set_quota("instances", 2)
    task = several(connection, "echo started; while [ ! -e go ]; do sleep 0.05; done", 3)
    bucket = connection.create_bucket("go-on")
    task.resources = [bucket]
    task.submit()
    wait_until(lambda: task.stdout().count("started") == 2, "two of three run")
    task.update(True)
    assert task.state == "PartiallyExecuting"
    assert task.running_instance_count == 2
    bucket.add_string("", "go")
    task.update_resources()
    assert ended(task) == "Success"


def test_one_instance_of_several_is_preempted(cluster: LocalCluster, connection: Connection) -> None:
    task = several(connection, "echo started; sleep 60", 2)
    task.submit()
    wait_until(lambda: task.stdout().count("started") == 2, "both run")
    cluster.control.preempt(task, instances=[1])
    wait_until(lambda: task.stdout(1).count("started") == 2, "the second runs again")
    task.update(True)
    counts = {each.instance_id: each.execution_attempt_count for each in _instances(task)}
    assert (task.state, counts) == ("FullyExecuting", {0: 1, 1: 2})
    task.abort()
    assert ended(task) == "Cancelled"
    assert {each.state for each in task.completed_instances} == {"Cancelled"}


def _instances(task: Any) -> Any:
    return task.status.running_instances_info.per_running_instance_info


@pytest.mark.parametrize(
    ("each", "total", "attempts"), [(2, None, 3), (5, 1, 2), (None, 3, 4), (None, None, 1), (0, 9, 1)]
)
def test_a_failing_instance_is_tried_again_as_often_as_allowed(
    cluster: LocalCluster, connection: Connection, each: int | None, total: int | None, attempts: int
) -> None:
    settings = {"maxPerInstanceRetries": each, "maxTotalRetries": total}
    constants = [{"key": "DOCKER_CMD", "value": "false"}]
    body = {"name": "retried", "profile": "docker-batch", "instanceCount": 1}
    body |= {"constants": constants, "retrySettings": settings}
    task = connection.retrieve_task(post(cluster, "/tasks", body)["uuid"])
    assert ended(task) == "Failure"
    assert task.completed_instances[0].execution_attempt_count == attempts


def post(cluster: LocalCluster, path: str, body: Any) -> Any:
    headers = {"Authorization": cluster.token}
    answer = requests.post(cluster.cluster_url + path, json=body, headers=headers, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def test_only_the_instances_that_did_not_end_well_are_retried(cluster: LocalCluster, connection: Connection) -> None:
    task = several(connection, "test $INSTANCE_ID = 1", "0-2")
    task.submit()
    assert ended(task) == "Failure"
    again = connection.retrieve_task(post(cluster, f"/tasks/{task.uuid}/retry", {"name": "again"})["uuid"])
    assert (again.name, again.advanced_range) == ("again", "0,2")
    ended(again)
    refused = requests.post(
        f"{cluster.cluster_url}/tasks/{task.uuid}/resume", headers={"Authorization": cluster.token}, timeout=10
    )
    assert (refused.status_code, refused.json()) == (400, {"message": "There is no instance to resume"})


def test_tasks_wait_for_those_they_depend_on(cluster: LocalCluster, connection: Connection) -> None:
    job = connection.create_job("graph", useDependencies=True)
    job.submit()

    def make(name: str, script: str, *after: Any) -> Any:
        task = connection.create_task(name, "docker-batch", 1, job=job)
        task.constants["DOCKER_CMD"] = f"sh -c '{script}'"
        task.set_task_dependencies_from_tasks(list(after))
        task.submit()
        return task

    cluster.control.hold("FullyDispatched")
    first = make("first", "true")
    second = make("second", "false", first)
    third = make("third", "true", first, second)
    second.update(True)
    assert second.state == "Submitted"
    cluster.control.release()
    assert [ended(task) for task in (first, second, third)] == ["Success", "Failure", "Failure"]
    assert "depends on" in third.errors[0].message
    condition = [{"taskUuid": second.uuid, "taskFinalStateCondition": ["failure"]}]
    body = {"name": "mourner", "profile": "docker-batch", "jobUuid": job.uuid, "instanceCount": 1}
    uuid = post(cluster, "/tasks", {**body, "dependencies": {"advancedDependsOn": condition}})["uuid"]
    mourner = connection.retrieve_task(uuid)
    assert ended(mourner) == "Success"
    headers = {"Authorization": cluster.token}
    view = requests.get(f"{cluster.cluster_url}/tasks/{uuid}", headers=headers, timeout=10).json()["dependencies"]
    assert view["state"] == "dependencyConditionsFulfilled"
    assert view["advancedDependsOn"][0]["actualFinalState"] == "failure"
    alone = command(connection, "true")
    alone.set_task_dependencies_from_tasks([first])
    with pytest.raises(Exception, match="dependencies"):
        alone.submit()


def test_a_cluster_has_a_master_and_workers(connection: Connection) -> None:
    task = connection.create_task("roles", "docker-cluster", 2)
    task.constants["DOCKER_CMD_MASTER"] = "echo master"
    task.constants["DOCKER_CMD_WORKER"] = "echo worker"
    task.submit()
    assert ended(task) == "Success"
    assert lines(task.stdout()) == {"0> master", "1> worker"}


def test_the_machines_of_a_cluster_share_a_folder_and_know_each_other(
    cluster: LocalCluster, connection: Connection, keys_folder: Path
) -> None:
    task = connection.create_task("peers", "docker-cluster-network-ssh", 3)
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.constants["DOCKER_CMD_MASTER"] = "sh -c 'until [ -e /share/done ]; do sleep 0.1; done; cat /share/qhost'"
    task.constants["DOCKER_CMD_WORKER"] = "sh -c 'until [ -e /share/done ]; do sleep 0.1; done; echo $INSTANCE_ID'"
    task.submit()
    info = wait_until(lambda: listed(task, 3), "three machines")
    forwards = wait_until(lambda: [each for each in listed(task, 3) if each.active_forward], "a forward")
    assert [each.instance_id for each in forwards] == [0], info
    cluster.control.preempt(task.uuid, instances=[1])
    attempts = wait_until(lambda: attempts_of(task) == [1, 2, 1], "one of them on another machine")
    assert attempts
    share = next(Path(tempfile.gettempdir()).glob(f"local-cluster-*/{task.uuid}/share"))
    hosts = wait_until(lambda: peers(share, 3), "the addresses of all machines")
    assert all(host.startswith("127.0.") for host in hosts)
    (share / "done").touch()
    assert ended(task) == "Success"
    assert lines(task.stdout()) >= {*(f"0> {host}" for host in hosts[:1]), "1> 1", "2> 2"}
    wait_until(lambda: not share.exists(), "the folder is removed")


def peers(share: Path, count: int) -> list[str]:
    """The addresses that the machines are told; none unless there are as many."""
    hosts = (share / "qhost").read_text().split()
    return hosts if len(set(hosts)) == count else []


def listed(task: Any, count: int) -> list[Any]:
    task.update(True)
    found = task.status.running_instances_info.per_running_instance_info if task.status else []
    return list(found) if len(found) == count else []


def attempts_of(task: Any) -> list[int]:
    return [each.execution_attempt_count for each in listed(task, 3)]


def test_credentials_are_exported_only_to_those_with_the_privilege(
    cluster: LocalCluster, connection: Connection
) -> None:
    for privileged in (False, True):
        task = command(connection, "env")
        task._privileges._exportApiAndStorageCredentialsInEnvironment = privileged
        task.submit()
        assert ended(task) == "Success"
        assert (f"QARNOT_CLIENT_TOKEN={cluster.token}" in task.stdout()) is privileged
        assert (f"QARNOT_STORAGE_API_URL={cluster.storage_url}" in task.stdout()) is privileged


def test_a_finished_task_makes_room_only_when_it_may(cluster: LocalCluster, connection: Connection) -> None:
    kept, spared = command(connection, "true"), command(connection, "true")
    spared.auto_delete = True
    for task in (kept, spared):
        task.submit()
        assert ended(task) == "Success"
    cluster.control.full_quota("tasks")
    newer = command(connection, "echo started; sleep 60")
    newer.submit()
    uuids = {task.uuid for task in connection.all_tasks()}
    assert (kept.uuid in uuids, spared.uuid in uuids) == (True, False)
    running(newer)
    newer.delete()
    wait_until(lambda: newer.uuid not in {task.uuid for task in connection.all_tasks()}, "it is gone")
