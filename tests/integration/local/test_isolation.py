"""What tasks cannot do to each other and to this machine, what the cluster costs, what survives its sudden end."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from qarnot.connection import Connection
from support.processes import words_of
from support.tasks import command, connect, ended, forward, keys, program, running, ssh
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow


def test_keys_and_links_never_lead_out_of_the_job_folder(connection: Connection, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    bucket = connection.create_bucket("tricks")
    for key in ("../out.txt", "a/../../out.txt", "..", "scene/../../out.txt", "fine.txt"):
        connection.s3client.put_object(Bucket="tricks", Key=key, Body=b"x")
    connection.s3client.put_object(Bucket="tricks", Key="/rooted.txt", Body=b"x")
    script = f"ln -s {secret} link; ln -s {tmp_path} folder; ls ..; echo started; "
    script += "while [ ! -e go ]; do sleep 0.05; done"
    task = command(connection, script)
    task.resources = [bucket]
    task.results = connection.create_bucket("tricks-out")
    task.submit()
    running(task)
    assert "out.txt" not in task.stdout()
    for key in ("folder/written-through-a-link.txt", "go"):
        connection.s3client.put_object(Bucket="tricks", Key=key, Body=b"x")
    task.update_resources()
    assert ended(task) == "Success"
    assert not (tmp_path / "written-through-a-link.txt").exists()
    assert keys(task.results) == set()
    assert "'../out.txt' has no possible place" in task.stderr()


def test_ssh_forwards_no_sockets_of_files_and_listens_for_nobody(
    connection: Connection, keys_folder: Path, tmp_path: Path
) -> None:
    task = connection.create_task("closed", "docker-network-ssh", 1)
    task.constants["DOCKER_CMD"] = "sleep 60"
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.submit()
    door = forward(task)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(tmp_path / "theirs"))
        theirs.listen()
        line = ssh(door, keys_folder / "own", None, "-W", "localhost:22")
        assert subprocess.run(line, capture_output=True, check=False, timeout=20).returncode == 255
        local = ssh(door, keys_folder / "own", None, "-N", "-L", f"{tmp_path}/ours:{tmp_path}/theirs")
        with subprocess.Popen(local, stderr=subprocess.DEVNULL) as process:
            wait_until((tmp_path / "ours").exists, "ssh listens")
            with socket.socket(socket.AF_UNIX) as ours:
                ours.connect(str(tmp_path / "ours"))
                assert ours.recv(1) == b"", "refused"
            process.kill()
    remote = ssh(door, keys_folder / "own", None, "-N", "-R", "0:localhost:1")
    assert subprocess.run(remote, capture_output=True, check=False, timeout=20).returncode == 255
    task.abort()
    ended(task)


def test_old_output_is_forgotten(connection: Connection) -> None:
    task = command(connection, "yes 0123456789 | head -c 3000000; echo the end")
    task.submit()
    assert ended(task) == "Success"
    assert task.stdout().endswith("the end\n")
    assert len(task.stdout()) < 1_200_000
    assert len(task.stdout(0)) < 1_200_000


def test_a_password_in_an_address_never_reaches_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {
        "PIP_INDEX_URL": "https://ci:s3cr3t@packages.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://open.example/simple https://s3cr3t@closed.example/simple",
        "https_proxy": "http://ci:s3cr3t@proxy.example:3128/",
        "ALL_PROXY": "ci:s3cr3t@proxy.example:3128",
    }
    kept = {"http_proxy": "http://127.0.0.1:9/", "NO_PROXY": "*", "PIP_CACHE_DIR": "/tmp/a@b:c", "LC_ALL": "C"}
    for name, value in (secret | kept).items():
        monkeypatch.setenv(name, value)
    with LocalCluster() as cluster, requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = cluster.token
        task = {"name": "env", "profile": "docker-batch", "instanceCount": 1}
        task["constants"] = [{"key": "DOCKER_CMD", "value": "env"}]
        path = f"{cluster.cluster_url}/tasks"
        path += "/" + http.post(path, json=task, timeout=10).json()["uuid"]
        wait_until(lambda: http.get(path, timeout=10).json()["state"] == "Success", "env to end")
        printed = http.get(f"{path}/stdout/0", timeout=10).text
    assert "s3cr3t" not in printed
    assert {f"{name}={value}" for name, value in kept.items()} <= set(printed.splitlines())


def test_a_task_that_kills_its_own_lifeline_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """As a machine without memory may do too: what it started lives on, and holds the pipes that we read."""

    def left() -> list[int]:
        return [each.pid for each in psutil.process_iter() if f"{tmp_path}/" in " ".join(words_of(each))]

    sleeping = f'sh -c "sleep 7777; : {tmp_path}/"'
    with LocalCluster() as cluster:
        task = command(connect(cluster), f"{sleeping} & kill -9 $PPID; {sleeping}")
        task.submit()
        assert ended(task) == "Failure"
        assert "Signal 9 ended the program" in task.errors[0].message
        assert not left()
        aborted = command(connect(cluster), f"echo started; {sleeping}")
        aborted.submit()
        running(aborted)
        assert left()
    assert not left()


def test_nothing_listens_but_on_this_machine_and_idleness_is_cheap(keys_folder: Path) -> None:
    with program() as cluster:
        connection = connect(cluster)
        task = connection.create_task("open", "docker-network-ssh", 1)
        task.constants["DOCKER_CMD"] = "sleep 60"
        task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
        task.submit()
        door = forward(task)
        process = psutil.Process(cluster.process.pid)
        family = [process, *process.children(recursive=True)]
        listening = [each.laddr for one in family for each in one.net_connections("inet") if each.status == "LISTEN"]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert len(listening) == 3, "the API, storage, and port 22 of the task"
        assert door.forwarder_port in {address.port for address in listening}
        assert process.cpu_percent(interval=3) <= 1.0


def test_large_objects_need_no_memory(tmp_path: Path) -> None:
    """One PUT, the way into a task, and the way out of it."""
    size, large = 300_000_000, tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(size)
        file.write(b"not only zeros")
    with program() as cluster:
        connection = connect(cluster)
        bucket = connection.create_bucket("large-in")
        connection.s3client.put_object(Bucket="large-in", Key="warm-up", Body=b"x" * 2_000_000)
        before = _most_memory(cluster.process.pid)
        with large.open("rb") as file:
            etag = connection.s3client.put_object(Bucket="large-in", Key="large", Body=file, Metadata={"a": "b"})[
                "ETag"
            ]
        about = connection.s3client.head_object(Bucket="large-in", Key="large")
        assert (about["ContentLength"], about["ETag"], about["Metadata"]) == (large.stat().st_size, etag, {"a": "b"})
        assert etag.strip('"') == _md5(large)
        task = command(connection, "cp large copy; echo y >> copy")
        task.resources, task.results = [bucket], connection.create_bucket("large-out")
        task.submit()
        assert ended(task, 120) == "Success"
        assert keys(connection.retrieve_bucket("large-out")) == {"copy"}
        connection.s3client.download_file("large-out", "copy", str(tmp_path / "copy"))
        assert (tmp_path / "copy").stat().st_size == large.stat().st_size + 2
        assert _most_memory(cluster.process.pid) - before < 64 << 20


def _most_memory(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def test_two_hundred_tasks_are_listed_at_once(cluster: LocalCluster) -> None:
    control = cluster.control
    control.set_quota("tasks", 1000)
    control.set_quota("instances", 0)  # all wait in the queue
    with requests.Session() as http:
        http.headers["Authorization"] = cluster.token
        constants = [{"key": f"NAME_{number}", "value": "x" * 40} for number in range(20)]
        task = {"name": "one of many", "profile": "docker-batch", "instanceCount": 1, "constants": constants}
        made = http.post(f"{cluster.cluster_url}/tasks", json=[task] * 200, timeout=30).json()
        assert {each["statusCode"] for each in made} == {200}
        for path, method, body in (("/tasks", "GET", None), ("/tasks/summaries/paginate", "POST", {})):
            times = []
            for _ in range(5):
                begun = time.process_time()  # the cluster's time and ours, whatever else the machine does
                answer = http.request(method, cluster.cluster_url + path, json=body, timeout=10)
                times.append(time.process_time() - begun)
            assert len(answer.json() if method == "GET" else answer.json()["data"]) >= 50
            assert min(times) <= 0.1, times
        for each in made:
            http.delete(f"{cluster.cluster_url}/tasks/{each['uuid']}", timeout=10)
    control.reset()


def test_answers_on_a_kept_connection_are_sent_at_once(cluster: LocalCluster) -> None:
    with requests.Session() as http:
        times = []
        for _ in range(40):
            begun = time.monotonic()
            http.get(f"{cluster.cluster_url}/settings", timeout=10)
            times.append(time.monotonic() - begun)
    assert min(times[20:]) <= 0.03, "no answer waits for the client's ACK, which comes after 40 ms"


def test_a_sudden_end_loses_no_record_and_no_object(tmp_path: Path) -> None:
    from qarnot.secrets import Secrets

    state = str(tmp_path / "state")
    with program("--state-dir", state) as cluster:
        connection = connect(cluster)
        bucket = connection.create_bucket("survivor")
        content = os.urandom(9 << 20)
        (tmp_path / "large").write_bytes(content)
        bucket.add_file(str(tmp_path / "large"), "large")
        Secrets(connection).create_secret("kept", "hush")
        pool = connection.create_pool("pool", "docker-batch", 1)
        pool.submit()
        tasks = [command(connection, "echo started; sleep 60") for _ in range(3)]
        for task in tasks:
            task.results = bucket
            task.submit()
            running(task)
        hold: dict[str, Any] = {
            "json": {"stage": "PendingCancel"},
            "headers": {"Authorization": cluster.token},
            "timeout": 10,
        }
        assert requests.post(f"{cluster.cluster_url}/_control/hold", **hold).ok
        connection.retrieve_task(tasks.pop().uuid).delete()  # it is on its way out
        connection.create_bucket("last").add_string("x", "x")
        cluster.process.send_signal(signal.SIGKILL)
        cluster.process.wait()
    with program("--state-dir", state) as cluster:
        connection = connect(cluster)
        states = {task.uuid: task.state for task in connection.all_tasks()}
        assert states == {task.uuid: "Failure" for task in tasks}
        assert "stopped while" in connection.retrieve_task(tasks[0].uuid).errors[0].message
        assert {bucket.uuid for bucket in connection.buckets()} == {"survivor", "last"}
        assert connection.s3client.get_object(Bucket="survivor", Key="large")["Body"].read() == content
        assert Secrets(connection).get_secret("kept") == "hush"
        assert [each.uuid for each in connection.all_pools()] == [pool.uuid]


def test_records_are_for_nobody_else_also_in_a_folder_that_was_there(tmp_path: Path) -> None:
    """They hold the secrets of tasks in clear."""
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    with LocalCluster(state_dir=state):
        assert state.stat().st_mode & 0o777 == 0o755, "it may be anybody's"
        assert {path.stat().st_mode & 0o777 for path in state.iterdir() if path.is_dir()} == {0o700}


@pytest.mark.parametrize("path", ["/tasks/../settings", "/tasks/%2e%2e/x", "/profiles/..%2F..%2Fetc%2Fpasswd"])
def test_strange_paths_are_not_found(cluster: LocalCluster, path: str) -> None:
    request = requests.Request("GET", cluster.cluster_url, headers={"Authorization": cluster.token}).prepare()
    request.url = cluster.cluster_url + path
    with requests.Session() as session:
        answer: Any = session.send(request, timeout=10)
    assert answer.status_code in {404, 405}
    assert "passwd:" not in answer.text
