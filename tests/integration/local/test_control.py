"""`cluster.control` and `/_control`: time and trouble do what was scripted, and nothing else.

qarnot_local.api.control_routes qarnot_local.api.middleware qarnot_local.s3.middleware qarnot_local.listening .
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from qarnot.connection import Connection
from qarnot.exceptions import (
    NotEnoughCreditsException,
    QarnotGenericException,
    UnauthorizedException,
)
from support.tasks import command, ended, forward, keys, running, ssh
from support.waiting import wait_until

from qarnot_local import ControlError, LocalCluster
from qarnot_local.control.control import Control

pytestmark = pytest.mark.slow


@pytest.fixture
def control(cluster: LocalCluster) -> Iterator[Control]:
    cluster.control.reset()
    yield cluster.control
    cluster.control.reset()
    cluster.control.pace(realistic=False)


@pytest.fixture
def http(cluster: LocalCluster) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = cluster.token
        yield session


def get(http: requests.Session, cluster: LocalCluster, path: str, **more: Any) -> requests.Response:
    return http.get(cluster.cluster_url + path, timeout=5, **more)


def test_a_scripted_status_is_answered_as_often_as_told(
    cluster: LocalCluster, control: Control, http: requests.Session
) -> None:
    with control.expecting():
        control.fail_next("GET", "/tasks", status=503, times=2)
        control.fail_next("GET", "/tasks", status=429, body={"message": "Slow"}, headers={"Retry-After": "7"}, skip=1)
        answers = [get(http, cluster, "/tasks") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503, 503, 200, 429, 200]
    assert answers[3].headers["Retry-After"] == "7"
    assert answers[3].json() == {"message": "Slow"}
    assert answers[0].json() == {"message": "Service Unavailable"}
    assert control.count("GET", "/tasks") == 5


def test_a_fault_never_met_is_an_error(control: Control) -> None:
    with pytest.raises(ControlError, match="used 0 time"), control.expecting():
        control.fail_next("POST", "/tasks/*/abort", status=500)
    control.check()


def test_what_fails_inside_is_not_hidden_by_a_fault_never_met(control: Control) -> None:
    def scenario() -> None:
        with control.expecting():
            control.fail_next("POST", "/tasks/*/abort", status=500)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        scenario()


@pytest.mark.parametrize(
    ("method", "route", "more", "says"),
    [
        ("GET", "/taks", {"status": 500}, "No such route"),
        ("PATCH", "/tasks/*/abort", {"status": 500}, "No such route"),
        ("POST", "/tasks/*/abrot", {"status": 500}, "/tasks/"),
        ("PUT", "s3:PutObjekt", {"status": 500}, "No such route"),
        ("GET", "/tasks", {"how": "explode"}, "none of"),
        ("GET", "/tasks", {"how": "refuse"}, "refusing"),
        ("GET", "/tasks", {}, "which status"),
        ("GET", "/tasks", {"code": "SlowDown"}, "storage"),
    ],
)
def test_a_misspelt_script_is_refused(
    control: Control, method: str, route: str, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ControlError, match=says):
        control.fail_next(method, route, **more)


def test_reset_timeout_and_lost_answer(cluster: LocalCluster, control: Control, http: requests.Session) -> None:
    body = {"name": "lost", "shortname": "lost-answer", "profile": "docker-batch", "instanceCount": 1}
    with control.expecting():
        control.fail_next("POST", "/tasks", how="reset")
        control.fail_next("POST", "/tasks", how="timeout")
        control.fail_next("POST", "/tasks", how="lost answer")
        with pytest.raises(requests.ConnectionError):
            http.post(f"{cluster.cluster_url}/tasks", json=body, timeout=5)
        with pytest.raises(requests.ReadTimeout):
            http.post(f"{cluster.cluster_url}/tasks", json=body, timeout=0.2)
        assert get(http, cluster, "/tasks/lost-answer").status_code == 404
        with pytest.raises(requests.ConnectionError):
            http.post(f"{cluster.cluster_url}/tasks", json=body, timeout=5)
    assert get(http, cluster, "/tasks/lost-answer").json()["name"] == "lost"
    assert [call.status for call in control.calls if call.route == "/tasks"] == [None, None, None]


def test_one_task_alone_has_trouble(cluster: LocalCluster, control: Control, connection: Connection) -> None:
    first, second = command(connection, "true"), command(connection, "true")
    first.submit()
    second.submit()
    control.fail_next("GET", f"/tasks/{first.uuid}", status=500, times=None)
    second.update(True)
    with pytest.raises(QarnotGenericException):
        first.update(True)
    control.reset()
    assert {ended(first), ended(second)} == {"Success"}


def test_delays_are_felt(cluster: LocalCluster, control: Control, http: requests.Session) -> None:
    control.delay("/info", 0.3, times=1)
    get(http, cluster, "/info")
    get(http, cluster, "/info")
    slow, fast = (call.seconds for call in control.calls)
    assert slow >= 0.3 > fast


def test_connections_are_refused_for_a_while(
    cluster: LocalCluster, control: Control, http: requests.Session, connection: Connection
) -> None:
    assert get(http, cluster, "/info").ok
    with control.refusing():
        for url in (cluster.cluster_url, cluster.storage_url):
            with pytest.raises(requests.ConnectionError, match="refused"):
                requests.get(url, timeout=5)
    assert get(http, cluster, "/info").ok
    connection.create_bucket("after-the-outage").add_string("x", "x")
    http.post(f"{cluster.cluster_url}/_control/refuse", json={"seconds": 0.2}, timeout=5)
    wait_until(lambda: _listens(cluster), "it listens again")


def _listens(cluster: LocalCluster) -> bool:
    try:
        return requests.get(f"{cluster.cluster_url}/settings", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_an_expired_token_opens_nothing(cluster: LocalCluster, control: Control, connection: Connection) -> None:
    connection.create_bucket("locked").add_string("x", "x")
    control.expire_token()
    with pytest.raises(UnauthorizedException):
        connection.retrieve_task("any")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        connection.create_bucket("locked")
    control.restore_token()
    assert keys(connection.create_bucket("locked")) == {"x"}


def test_a_clock_that_is_off_is_refused_by_storage_where_a_test_says_so(
    cluster: LocalCluster, control: Control, connection: Connection
) -> None:
    bucket = connection.create_bucket("late")
    control.advance(3600)
    bucket.add_string("x", "before")
    assert requests.post(
        f"{cluster.cluster_url}/_control/refuseSkew", headers={"Authorization": cluster.token}, timeout=5
    ).ok
    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        bucket.add_string("x", "after")
    assert control.state()["refusesSkew"]
    control.reset()
    assert keys(bucket) == {"before"}


def test_full_quotas_refuse_with_the_platforms_words(
    cluster: LocalCluster, control: Control, connection: Connection
) -> None:
    full = connection.create_bucket("full")
    for kind, error, says in (
        ("tasks", QarnotGenericException, "Maximum number of tasks reached"),
        ("running_tasks", UnauthorizedException, "Maximum number of running tasks reached"),
        ("credits", NotEnoughCreditsException, "Not enough credits"),
    ):
        control.full_quota(kind)
        with pytest.raises(Exception, match=says) as caught:
            command(connection, "true").submit()
        assert isinstance(caught.value, error) or kind == "tasks"
        control.reset()
    control.full_quota("bytes")
    with pytest.raises(ClientError, match="QuotaExceeded"):
        full.add_string("x", "x")
    control.full_quota("buckets")
    assert connection.user_info.max_bucket == connection.user_info.bucket_count
    for name in ("one-too-many", "full"):  # as on a Ceph gateway, also one that is there
        with pytest.raises(ClientError, match="TooManyBuckets"):
            connection.create_bucket(name)
    with pytest.raises(ControlError, match="No such quota"):
        control.full_quota("patience")


def test_results_that_do_not_fit_fail_the_task(control: Control, connection: Connection) -> None:
    task = command(connection, "echo data > data.txt")
    task.results = connection.create_bucket("too-small")
    control.full_quota("bytes")
    task.submit()
    assert ended(task) == "Failure"
    assert "quota" in task.errors[0].message


def test_advancing_ends_a_job_and_forgets_a_task(control: Control, connection: Connection) -> None:
    job = connection.create_job("hours")
    job.max_wall_time = timedelta(hours=4)
    job.submit()
    task = connection.create_task("long", "docker-batch", 1, job=job)
    task.constants["DOCKER_CMD"] = "sh -c 'echo started; sleep 60'"
    task.completion_ttl = timedelta(days=1)
    task.submit()
    running(task)
    control.advance(3 * 3600)
    task.update(True)
    assert task.state == "FullyExecuting"
    control.advance(3600)
    assert ended(task) == "Cancelled"
    assert task.wall_time.startswith("04:00:")
    wait_until(lambda: connection.retrieve_job(job.uuid).state == "Completed", "the job to be over")
    control.advance(24 * 3600)
    wait_until(lambda: task.uuid not in {each.uuid for each in connection.all_tasks()}, "the task is forgotten")


def test_a_queue_that_is_too_long_fails_the_task(control: Control, connection: Connection) -> None:
    control.full_quota("instances")
    task = command(connection, "true")
    task._max_time_queue_seconds = 600
    task.submit()
    control.advance(599)
    task.update(True)
    assert task.state == "Submitted"
    control.advance(2)
    assert ended(task) == "Failure"
    assert "maxTimeQueueSeconds" in task.errors[0].message
    waiting = command(connection, "true")
    waiting.submit()
    control.set_quota("instances", 1)
    assert ended(waiting) == "Success"


@pytest.mark.parametrize("stage", ["Submitted", "FullyDispatched", "UploadingResults"])
def test_a_held_state_stays_until_released(control: Control, connection: Connection, stage: str) -> None:
    control.hold(stage)
    task = command(connection, "true")
    task.submit()

    def arrived() -> bool:
        task.update(True)
        return bool(task.state == stage)

    wait_until(arrived, f"it is {stage}")
    free = command(connection, "true")
    control.release(stage)
    free.submit()
    assert {ended(task), ended(free)} == {"Success"}


def test_a_held_task_can_be_aborted_and_held_again(control: Control, connection: Connection) -> None:
    control.hold("Submitted")
    control.hold("PendingCancel")
    task = command(connection, "true")
    task.submit()
    task.abort()
    task.update(True)
    assert task.state == "PendingCancel"
    control.release("PendingCancel", task)  # the hold of all is not released by naming one
    task.update(True)
    assert task.state == "PendingCancel"
    control.release()
    assert ended(task) == "Cancelled"
    with pytest.raises(ControlError, match="No such stage"):
        control.hold("Thinking")


def ssh_task(connection: Connection, keys_folder: Path, script: str) -> Any:
    task = connection.create_task("machine", "docker-network-ssh", 1)
    task.constants["DOCKER_CMD"] = f"sh -c '{script}'"
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    return task


def test_a_held_forward_never_opens(control: Control, connection: Connection, keys_folder: Path) -> None:
    control.hold("forward")
    task = ssh_task(connection, keys_folder, "echo started; sleep 60")
    task.submit()
    running(task)
    task.update(True)
    assert task.status.running_instances_info.per_running_instance_info[0].active_forward == []
    control.release("forward")
    assert forward(task).forwarder_port
    task.abort()
    assert ended(task) == "Cancelled"


def test_a_held_snapshot_stays_in_progress(control: Control, connection: Connection) -> None:
    task = command(connection, "echo x > x.txt; echo started; sleep 60")
    task.results = connection.create_bucket("held-snapshot")
    task.submit()
    running(task)
    control.hold("snapshot", task)
    name = task.instant()
    wait_until(lambda: "InProgress" in str(task.snapshot_status(name)._status), "it has begun")
    assert keys(task.results) == set()
    control.release("snapshot", task)
    wait_until(lambda: task.snapshot_status(name)._status.is_completed, "it is complete")
    assert keys(task.results) == {"x.txt"}
    task.abort()
    ended(task)


def test_preemption_is_a_new_machine(control: Control, connection: Connection, keys_folder: Path) -> None:
    """Reference §8: FullyExecuting, count + 1, another port, another host key; only resources are there again."""
    bucket = connection.create_bucket("preempted-in")
    bucket.add_string("given", "given.txt")
    script = "ls; echo $$ > pid; echo changed > given.txt; echo started; exec sleep 61"
    task = ssh_task(connection, keys_folder, script)
    task.resources = [bucket]
    task.results = connection.create_bucket("preempted-out")
    task.submit()
    door = forward(task)
    key = _host_key(door)
    pid = _remote(door, keys_folder, "cat pid")
    snapshot = task.instant()
    wait_until(lambda: task.snapshot_status(snapshot)._status.is_completed, "it is saved")

    control.preempt(task)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the old process is gone")
    wait_until(lambda: task.stdout().count("started") == 2, "it runs again")
    task.update(True)
    assert task.state == "FullyExecuting"
    instance = task.status.running_instances_info.per_running_instance_info[0]
    assert instance.execution_attempt_count == 2
    again = forward(task)
    assert again.forwarder_port != door.forwarder_port
    assert _host_key(again) != key
    assert task.stdout(0).split("started")[1].split()[-1] == "given.txt", "what was made before is not there"
    assert keys(task.results) == {"given.txt", "pid"}, "what was saved stays in the bucket"
    task.abort()
    assert ended(task) == "Cancelled"


def _host_key(door: Any) -> str:
    words = ["ssh-keyscan", "-t", "ed25519", "-p", str(door.forwarder_port), door.forwarder_host]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1]


def _remote(door: Any, keys_folder: Path, words: str) -> str:
    line = ssh(door, keys_folder / "own", words)
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()


def test_preemption_may_show_another_state_meanwhile(control: Control, connection: Connection) -> None:
    task = command(connection, "echo started; sleep 60")
    task.submit()
    running(task)
    control.hold("FullyDispatched", task)
    control.preempt(task, state="Submitted")
    task.update(True)
    assert task.state == "Submitted"
    control.release()
    wait_until(lambda: task.stdout().count("started") == 2, "it runs again")
    task.update(True)
    assert task.state == "FullyExecuting"
    task.abort()
    ended(task)
    with pytest.raises(ControlError, match="nothing of it executes"):
        control.preempt(task)


def storage(cluster: LocalCluster) -> Any:
    """A client that tries once."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=cluster.storage_url,
        aws_access_key_id=cluster.email,
        aws_secret_access_key=cluster.token,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_storage_fails_as_scripted(cluster: LocalCluster, control: Control) -> None:
    client = storage(cluster)
    client.create_bucket(Bucket="troubled")
    with control.expecting():
        control.fail_next("PUT", "s3:PutObject", code="SlowDown", path="troubled/a*")
        control.fail_next("PUT", "s3:PutObject", how="reset", after_bytes=100_000)
        control.fail_next("PUT", "s3:PutObject", how="lost answer")
        with pytest.raises(ClientError, match="SlowDown") as slow:
            client.put_object(Bucket="troubled", Key="a1", Body=b"1")
        assert slow.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        with pytest.raises(HTTPClientError):
            client.put_object(Bucket="troubled", Key="cut", Body=bytes(1 << 22))
        with pytest.raises(HTTPClientError):
            client.put_object(Bucket="troubled", Key="lost", Body=b"1")
    assert [each["Key"] for each in client.list_objects(Bucket="troubled")["Contents"]] == ["lost"]
    assert control.count("PUT", "s3:PutObject") == 3
    assert control.count("*", "s3:*") == 5


def test_a_download_is_cut_in_the_middle(cluster: LocalCluster, control: Control) -> None:
    client = storage(cluster)
    client.create_bucket(Bucket="cut-short")
    client.put_object(Bucket="cut-short", Key="large", Body=bytes(4 << 20))
    with control.expecting():
        control.fail_next("GET", "s3:GetObject", how="reset", after_bytes=1_500_000)
        body = client.get_object(Bucket="cut-short", Key="large")["Body"]
        with pytest.raises(Exception, match=r"(?i)connection|incomplete|reset"):
            body.read()
    assert len(client.get_object(Bucket="cut-short", Key="large")["Body"].read()) == 4 << 20


def test_the_same_over_http(cluster: LocalCluster, control: Control, http: requests.Session) -> None:
    url = f"{cluster.cluster_url}/_control"
    assert requests.get(url, timeout=5).status_code == 401
    script = {"method": "GET", "route": "/profiles", "status": 500, "times": 2}
    assert http.post(f"{url}/fail_next", json=script, timeout=5).json() == {"result": None}
    assert get(http, cluster, "/profiles").status_code == 500
    unused = http.post(f"{url}/check", timeout=5)
    assert (unused.status_code, "used 1 time" in unused.json()["message"]) == (400, True)
    wrong = http.post(f"{url}/fail-next", json={**script, "route": "/profile"}, timeout=5)
    assert (wrong.status_code, "/profiles" in wrong.json()["message"]) == (400, True)
    assert http.post(f"{url}/fail-next", json={"colour": "red"}, timeout=5).status_code == 400
    assert http.post(f"{url}/explode", timeout=5).status_code == 404
    http.post(f"{url}/expireToken", timeout=5)
    assert get(http, cluster, "/profiles").status_code == 500, "trouble comes before authentication"
    assert get(http, cluster, "/profiles").status_code == 401
    state = http.get(url, timeout=5).json()
    assert state["isExpired"]
    assert state["calls"] == {"GET /profiles": 3}
    assert [call["status"] for call in http.get(f"{url}/calls", timeout=5).json()] == [500, 500, 401]
    http.post(f"{url}/reset", timeout=5)
    assert get(http, cluster, "/profiles").status_code == 200


def test_a_cluster_ends_at_once_although_somebody_waits_for_an_answer() -> None:
    with LocalCluster() as cluster:
        cluster.control.fail_next("GET", "/info", how="timeout")
        cluster.control.fail_next("GET", "s3:ListBuckets", how="timeout")
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{cluster.cluster_url}/info", headers={"Authorization": cluster.token}, timeout=0.2)
        with pytest.raises(requests.ReadTimeout):
            requests.get(cluster.storage_url, timeout=0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5


def test_at_the_cloud_s_pace_every_stage_takes_its_time(
    cluster: LocalCluster, control: Control, connection: Connection
) -> None:
    def seen(task: Any, state: str, moment: str) -> None:
        wait_until(lambda: task.update(True) or task.state == state, f"{state}, {moment}", 10)

    control.pace()
    assert control.state()["pace"]["FullyDispatched"] == 90
    task = command(connection, "echo started")
    task.submit()
    for seconds, state in ((4, "Submitted"), (3, "FullyDispatched"), (60, "FullyDispatched"), (30, "UploadingResults")):
        control.advance(seconds)
        seen(task, state, f"{seconds} s later")
        if state == "FullyDispatched":  # its time counts from when the files are there, a moment later
            wait_until(lambda: task.update(True) or task.status.download_progress == 100, "the files to be there", 10)
    control.advance(10)
    assert ended(task) == "Success"
    aborted = command(connection, "echo started")
    aborted.submit()
    aborted.abort()
    seen(aborted, "PendingCancel", "just aborted")
    control.advance(5)
    assert ended(aborted) == "Cancelled"
    control.pace(realistic=False)
    quick = command(connection, "echo started")
    quick.submit()
    assert ended(quick) == "Success"
