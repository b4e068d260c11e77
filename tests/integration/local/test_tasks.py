"""One task's life, as the SDK sees it: qarnot_local.api.task_routes qarnot_local.api.outputs qarnot_local.api.snapshots
qarnot_local.runtime.runner qarnot_local.runtime.node qarnot_local.runtime.snapshots qarnot_local.runtime.processes .
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.exceptions import (
    MissingTaskException,
    QarnotGenericException,
    UnauthorizedException,
)
from qarnot.secrets import Secrets
from support.tasks import command, connect, ended, keys, running
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow


def test_hello_world(connection: Connection) -> None:
    task = connection.create_task("hello", "docker-batch", 1)
    task.constants["DOCKER_CMD"] = "echo hello ${NAME}"
    task.constants["NAME"] = "world"
    task.submit()
    assert ended(task) == "Success"
    first, second = task.stdout().splitlines()
    assert "no container is used here" in first
    assert second == "0> hello world"
    assert task.stdout(0).splitlines()[1] == "hello world"
    assert task.fresh_stdout() == task.stdout()
    assert task.fresh_stdout() == ""
    assert task.execution_time == "00:00:01"
    assert task.completed_instances[0].exec_time_sec >= 1
    assert connection.retrieve_task(task.uuid).state == "Success"


def test_the_process_starts_at_once(connection: Connection) -> None:
    """The overhead of all states before the command is well below half a second."""
    task = command(connection, "date +%s.%N")
    submitted = time.time()
    task.submit()
    assert ended(task) == "Success"
    assert float(task.stdout(0).splitlines()[1]) - submitted < 0.5


def test_buckets_and_results_round_trip(connection: Connection) -> None:
    first = connection.create_bucket("first")
    first.add_string("from first", "deep/both.txt")
    first.add_string("untouched", "same.txt")
    first.add_string("outside", "../evil.txt")
    task = command(
        connection, "cat deep/both.txt; ls; echo more >> deep/both.txt; echo new > new.txt; echo no > no.tmp"
    )
    task.resources = [first]
    task.results = connection.create_bucket("results")
    task.results_blacklist = r"\.tmp$"
    task.submit()
    assert ended(task) == "Success"
    assert keys(task.results) == {"deep/both.txt", "new.txt"}
    assert "evil" not in task.stdout()
    assert "evil" in task.stderr()
    assert keys(first) == {"deep/both.txt", "same.txt", "../evil.txt"}


def test_last_bucket_wins_and_prefixes_are_honoured(connection: Connection) -> None:
    from qarnot.advanced_bucket import BucketPrefixFiltering, PrefixResourcesTransformation

    older, newer = connection.create_bucket("older"), connection.create_bucket("newer")
    older.add_string("from older", "note.txt")
    newer.add_string("from newer", "scene/note.txt")
    newer.add_string("", "scene/")  # as consoles mark a folder
    newer.add_string("filtered out", "other.txt")
    chosen = newer.with_filtering(BucketPrefixFiltering("scene/"))
    chosen = chosen.with_resource_transformation(PrefixResourcesTransformation("scene/"))
    task = command(connection, "cat note.txt; ls")
    task.resources = [older, chosen]
    task.submit()
    assert ended(task) == "Success"
    assert "from newer" in task.stdout()
    assert "other.txt" not in task.stdout()
    assert task.stderr() == ""


def test_failing_command(connection: Connection) -> None:
    task = command(connection, "echo bad news >&2; exit 7")
    task.submit()
    assert ended(task) == "Failure"
    assert "exit code 7" in task.errors[0].message
    assert "bad news" in task.stderr()


def test_missing_program_and_broken_quotes(connection: Connection) -> None:
    for text in ("no-such-program --help", "sh -c 'unclosed"):
        task = connection.create_task("broken", "docker-batch", 1)
        task.constants["DOCKER_CMD"] = text
        task.submit()
        assert ended(task) == "Failure"
        assert task.errors[0].message
        assert task.execution_time == "00:00:01"
        (instance,) = task.completed_instances
        assert (instance.state, instance.exec_time_sec) == ("Failure", 1)


def test_abort_uploads_when_asked(connection: Connection) -> None:
    for asked, expected in ((True, {"late.txt", "early.txt"}), (False, set())):
        task = command(
            connection, 'trap "echo late > late.txt; exit" TERM; echo x > early.txt; echo started; sleep 60 & wait'
        )
        task.results = connection.create_bucket(f"aborted-{asked}".lower())
        task.upload_results_on_cancellation = asked
        task.submit()
        running(task)
        task.abort()
        assert task.state in {"PendingCancel", "Cancelled"}
        assert ended(task) == "Cancelled"
        assert keys(task.results) == expected
        with pytest.raises(UnauthorizedException, match="Can't abort"):
            task.abort()


def test_a_process_that_ignores_sigterm_is_killed(connection: Connection) -> None:
    task = command(connection, 'trap "" TERM; echo started; while :; do sleep 1; done')
    task.submit()
    running(task)
    task.abort()
    assert ended(task, 10) == "Cancelled"


def test_instant_snapshot(connection: Connection) -> None:
    task = command(connection, "echo 1 > a.txt; echo 2 > b.log; echo started; sleep 60")
    task.results = connection.create_bucket("snapshots")
    task.snapshot_whitelist = "txt$"
    task.submit()
    running(task)
    name = task.instant()
    wait_until(
        lambda: str(task.snapshot_status(name)._status) == "snapshot status Success.", "the snapshot is complete"
    )
    assert keys(task.results) == {"a.txt"}
    whole = task.instant(whitelist="log$", bucket_prefix="sub/")
    assert whole != name
    wait_until(lambda: task.snapshot_status(whole)._status.is_completed, "the other one is")
    assert keys(task.results) == {"a.txt", "sub/b.log"}
    other = task.instant(whitelist="log$", bucket=connection.create_bucket("elsewhere"))
    wait_until(lambda: task.snapshot_status(other)._status.is_completed, "that one is too")
    assert keys(connection.retrieve_bucket("elsewhere")) == {"b.log"}
    task.abort()
    ended(task)
    # What is elsewhere is no result: nobody would find it in the results' bucket.
    (instance,) = task.completed_instances
    assert sorted(instance.results) == [f"s3://localhost/snapshots/{key}" for key in ("a.txt", "sub/b.log")]


def test_periodic_snapshot(connection: Connection) -> None:
    task = command(connection, "echo started > a.txt; cat a.txt; sleep 60")
    task.results = connection.create_bucket("periodic")
    task.snapshot(1)
    task.submit()
    wait_until(lambda: keys(task.results) == {"a.txt"}, "a periodic snapshot brings the file")
    with pytest.raises(ValueError, match="-1"):
        task.snapshot(-1)
    task.abort()
    ended(task)


def test_filters_of_a_periodic_snapshot_are_the_default_of_later_ones(
    cluster: LocalCluster, connection: Connection
) -> None:
    """So the vendor's document says, also for a body that is null."""
    task = command(connection, "touch a.txt b.txt c.log; echo started; sleep 600")
    task.results = connection.create_bucket("kept-filters")
    task.snapshot_whitelist = "nothing"
    task.submit()
    running(task)
    path = f"{cluster.cluster_url}/tasks/{task.uuid}"

    def ask(method: str, path: str, body: str | None = None) -> Any:
        answer = requests.request(method, path, data=body, headers={"Authorization": cluster.token}, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def taken(body: str | None) -> set[str]:
        number = ask("POST", f"{path}/snapshot", body)["id"]
        wait_until(lambda: ask("GET", f"{path}/snapshot/{number}")["status"] == "Success", "the snapshot")
        return keys(task.results)

    assert taken("null") == set()
    ask("POST", f"{path}/snapshot/periodic", '{"interval": 3600, "whitelist": "txt$", "blacklist": "^b"}')
    assert taken("null") == {"a.txt"}
    ask("POST", f"{path}/snapshot/periodic", "null")
    ask("POST", f"{path}/snapshot/periodic", '{"interval": 1800, "whitelist": null, "blacklist": ""}')
    found = ask("GET", path)
    assert (found["snapshotInterval"], found["snapshotWhitelist"], found["snapshotBlacklist"]) == (1800, "txt$", "")
    assert taken('{"whitelist": "log$"}') == {"a.txt", "c.log"}
    assert taken(None) == {"a.txt", "b.txt", "c.log"}
    ask("POST", f"{path}/snapshot/periodic", "null")
    assert ask("GET", path)["snapshotInterval"] == 1800
    task.abort()
    ended(task)


def test_new_resources_reach_the_running_task(connection: Connection) -> None:
    bucket = connection.create_bucket("growing")
    task = command(connection, "echo started; while [ ! -e added.txt ]; do sleep 0.05; done; cat added.txt")
    task.resources = [bucket]
    task.submit()
    running(task)
    bucket.add_string("it arrived", "added.txt")
    task.update_resources()
    assert ended(task) == "Success"
    assert "it arrived" in task.stdout()
    with pytest.raises(QarnotGenericException, match="Task is not running"):
        task.update_resources()


def test_job_wall_time(connection: Connection) -> None:
    job = connection.create_job("short")
    job.max_wall_time = timedelta(seconds=1)
    job.submit()
    task = connection.create_task("long", "docker-batch", 1, job=job)
    task.constants["DOCKER_CMD"] = "sleep 60"
    task.submit()
    assert ended(task) == "Cancelled"
    job.update(True)
    wait_until(lambda: connection.retrieve_job(job.uuid).state == "Completed", "the job is completed")
    job.delete()


def test_refusals(cluster: LocalCluster, connection: Connection) -> None:
    with pytest.raises(UnauthorizedException):
        connect(cluster, "wrong")
    with pytest.raises(MissingTaskException):
        connection.retrieve_task("nothing")
    task = connection.create_task("twice", "docker-batch", 1, shortname="one-name")
    task.submit()
    with pytest.raises(QarnotGenericException, match="Invalid fields: shortname-uniqueness"):
        connection.create_task("twice", "docker-batch", 1, shortname="one-name").submit()
    assert connection.retrieve_task("one-name").uuid == task.uuid
    with pytest.raises(QarnotGenericException, match="Invalid fields: profile"):
        connection.create_task("wrong", "no-such-profile", 1).submit()
    headers = {"Authorization": cluster.token}
    body = {"name": "x", "profile": "docker-batch", "instanceCount": 1, "resourceBuckets": ["nowhere"]}
    answer = requests.post(f"{cluster.cluster_url}/tasks", json=body, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()) == (404, {"message": "No such bucket: nowhere"})


def test_paths_and_keys_in_any_dress(cluster: LocalCluster) -> None:
    """Doubled slashes, /v1, trailing slash, any case of routes and keys; nulls of C# (reference §0)."""
    headers = {"Authorization": cluster.token}
    body: dict[str, Any] = {
        "Name": "dressed",
        "PROFILE": "docker-batch",
        "Constants": [{"Key": "DOCKER_CMD", "Value": "true"}],
    }
    body |= {"Uuid": "00000000-0000-0000-0000-000000000000", "State": None, "Tags": None, "PoolUuid": ""}
    body |= {"InstanceCount": 1}
    answer = requests.post(f"{cluster.cluster_url}//v1/Tasks/", json=body, headers=headers, timeout=10)
    uuid = answer.json()["uuid"]
    task = requests.get(f"{cluster.cluster_url}/v1//TASKS/{uuid.upper()}", headers=headers, timeout=10).json()
    assert task["name"] == "dressed"
    assert task["tags"] == []
    unauthorized = requests.get(f"{cluster.cluster_url}/tasks", timeout=10)
    assert unauthorized.json()["error"]["code"] == unauthorized.status_code == 401
    assert requests.get(f"{cluster.cluster_url}//settings", timeout=10).json() == {"storage": cluster.storage_url}
    broken = requests.post(f"{cluster.cluster_url}/tasks", data="{", headers=headers, timeout=10)
    assert (broken.status_code, broken.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("name", ["Data", "User", "Tasks", "V1", "Search", "Stdout"])
def test_a_short_name_may_be_a_word_of_a_route_and_keeps_its_case(
    cluster: LocalCluster, connection: Connection, name: str
) -> None:
    task = connection.create_task("named", "docker-batch", 1, shortname=name)
    task.submit()
    ended(task)
    assert connection.retrieve_task(name).uuid == task.uuid
    url = f"{cluster.cluster_url}//v1/TASKS/{name}"
    headers = {"Authorization": cluster.token}
    assert requests.get(url + "/", headers=headers, timeout=10).json()["shortname"] == name
    assert requests.get(url + "/STDOUT", headers=headers, timeout=10).ok
    assert requests.post(f"{cluster.cluster_url}/Tasks/SEARCH", json={}, headers=headers, timeout=10).ok
    key = f"{name}/Tasks/{name}"
    Secrets(connection).create_secret(key, "x")
    assert requests.get(f"{cluster.cluster_url}/Secrets-Manager/DATA/{key}", headers=headers, timeout=10).ok


def test_lists_and_pages(connection: Connection) -> None:
    for number in range(3):
        task = connection.create_task(f"listed-{number}", "docker-batch", 1)
        task.tags = ["listed", f"n{number}"]
        task.submit()
    assert {task.name for task in connection.tasks(["listed"])} == {"listed-0", "listed-1", "listed-2"}
    page = connection.tasks_page(maximum=2)
    assert len(page.page_data) == 2
    assert page.is_truncated
    assert {task.name for task in connection.all_tasks(tags_intersect=["listed", "n1"])} == {"listed-1"}
    assert connection.tasks_page(token=page.next_token, maximum=2).page_data[0].uuid != page.page_data[0].uuid


def test_account(connection: Connection) -> None:
    info = connection.user_info
    assert (info.email, info.max_task) == ("you@localhost", 100)
    assert {profile.name for profile in connection.profiles()} >= {"docker-batch", "docker-network-ssh", "jupyterlab"}
    assert connection.profile_details("nothing") is None
    assert connection.all_hardware_constraints()
    task = command(connection, "true")
    task.submit()
    ended(task)
    assert task.carbon_facts().energy_consumption_Wh > 0
    assert 0 < connection.credits().amount_in_euros <= 50


def test_put_changes_constants_and_tags(connection: Connection) -> None:
    task = command(connection, "true")
    task.submit()
    task.constants["ADDED"] = 3
    task.tags = ["new"]
    task.commit()
    again = connection.retrieve_task(task.uuid)
    assert (again.constants["ADDED"], again.tags) == ("3", ["new"])
    task.auto_update = True
    ended(task)
    task.delete()
    with pytest.raises(MissingTaskException):
        connection.retrieve_task(again.uuid)
