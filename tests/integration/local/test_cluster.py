"""The cluster as a whole: what it prints, what it leaves behind, what survives.

qarnot_local.server qarnot_local.__main__ qarnot_local.runtime.manager qarnot_local.api.app qarnot_local.api.context .
"""

from __future__ import annotations

import ast
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from botocore.exceptions import ClientError
from qarnot.connection import Connection
from qarnot.secrets import Secrets
from support.tasks import command, connect, ended, keys, program, running
from support.waiting import wait_until

import qarnot_local
from qarnot_local import ClusterError, LocalCluster

pytestmark = pytest.mark.slow

PACKAGE = Path(qarnot_local.__file__).parent


def test_it_imports_nothing_of_ours() -> None:
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, file
                names = [node.module or ""]
            for name in names:
                assert not name.startswith("run_qarnot") or name.startswith("qarnot_local"), (file, name)


def test_nothing_is_left_behind() -> None:
    def own_folders() -> set[Path]:  # those of tests beside this one come and go
        return set(Path(tempfile.gettempdir()).glob(f"local-cluster-{os.getpid()}-*"))

    threads, folders = set(threading.enumerate()), own_folders()
    children = {process.pid for process in psutil.Process().children(recursive=True)}
    with LocalCluster() as cluster:
        connection = connect(cluster)
        task = command(connection, "echo started; sleep 60")
        task.submit()
        running(task)
        connection.create_bucket("left").add_string("x", "x")
        assert own_folders() > folders
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{cluster.cluster_url}/settings", timeout=5)
    with pytest.raises(requests.ConnectionError):
        requests.get(cluster.storage_url, timeout=5)
    assert set(threading.enumerate()) <= threads
    assert own_folders() <= folders
    assert {process.pid for process in psutil.Process().children(recursive=True)} <= children


def test_the_program_prints_its_address_and_ends_cleanly() -> None:
    with program() as cluster:
        connection = connect(cluster)
        task = command(connection, "echo started; sleep 60")
        task.submit()
        running(task)
        cluster.process.send_signal(signal.SIGTERM)
        rest, errors = cluster.process.communicate(timeout=20)
        assert (cluster.process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(("options", "seconds"), [((), None), (("--realistic",), 90)])
def test_it_is_as_slow_as_the_cloud_only_if_asked(options: tuple[str, ...], seconds: int | None) -> None:
    with program(*options) as cluster:
        state = requests.get(
            f"{cluster.cluster_url}/_control", headers={"Authorization": cluster.token}, timeout=10
        ).json()
        assert state["pace"].get("FullyDispatched") == seconds


def test_what_it_needs_and_another_has_is_said_in_two_lines(cluster: LocalCluster, tmp_path: Path) -> None:
    port = cluster.cluster_url.rpartition(":")[2]
    with pytest.raises(ClusterError) as caught:
        LocalCluster(int(port)).__enter__()
    what, todo = str(caught.value).splitlines()
    assert (what, "--port" in todo) == (f"Port {port} cannot be used: Address already in use.", True)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    words = [sys.executable, "-m", "qarnot_local", "--state-dir", str(tmp_path)]
    with LocalCluster(state_dir=tmp_path):
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    what, todo = done.stderr.splitlines()
    assert what == f"Another local cluster uses {tmp_path}."
    assert todo == "Stop it, or choose another --state-dir."


def test_killing_the_cluster_kills_its_tasks(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    with program() as cluster:
        connection = connect(cluster)
        script = (
            f"setsid sleep 61 & echo $! > {note}; sleep 62 & echo $! >> {note}; echo $$ >> {note}; echo started; wait"
        )
        task = command(connection, script)
        task.submit()
        running(task)
        pids = [int(line) for line in note.read_text().split()]
        assert len(pids) == 3
        assert all(map(psutil.pid_exists, pids))
        cluster.process.send_signal(signal.SIGKILL)
        cluster.process.wait()
        wait_until(lambda: not any(map(psutil.pid_exists, pids)), "all processes of the task are gone", 10)
    left = f"local-cluster-{cluster.process.pid}-*"
    assert list(Path(tempfile.gettempdir()).glob(left))
    with LocalCluster():
        assert not list(Path(tempfile.gettempdir()).glob(left)), "the next cluster tidies up"


CORS = {
    "AllowedMethods": ["PUT", "GET"],
    "AllowedOrigins": ["http://localhost:8866"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 60,
}


def test_state_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with LocalCluster(state_dir=state, token="same") as cluster:
        connection = connect(cluster)
        bucket = connection.create_bucket("kept")
        bucket.add_string("content", "deep/ünï code.txt")
        bucket.add_string("gone", "gone.txt")
        bucket.delete_file("gone.txt")
        connection.create_bucket("deleted").delete()
        connection.s3client.put_bucket_cors(Bucket="kept", CORSConfiguration={"CORSRules": [CORS]})
        large = tmp_path / "large"
        large.write_bytes(os.urandom(9 << 20))
        bucket.add_file(str(large), "large")
        done = command(connection, "echo said; echo r > result.txt")
        done.results = bucket
        done.submit()
        assert ended(done) == "Success"
        job = connection.create_job("job")
        job.submit()
        lost = connection.create_task("lost", "docker-batch", 1, job=job)
        lost.constants["DOCKER_CMD"] = "sh -c 'echo precious > work.txt; echo started; sleep 60'"
        lost.results = bucket
        lost.submit()
        running(lost)
        tags = {file.key: file.e_tag for file in bucket.list_files()}
        with pytest.raises(ClusterError, match="Another local cluster"):
            LocalCluster(state_dir=state).__enter__()
    with LocalCluster(state_dir=state, token="same") as cluster:
        connection = connect(cluster)
        bucket = connection.retrieve_bucket("kept")
        again = {file.key: file.e_tag for file in bucket.list_files()}
        assert again.keys() == {"deep/ünï code.txt", "large", "result.txt", "work.txt"}
        assert tags.items() <= again.items()
        assert [each.uuid for each in connection.buckets()] == ["kept"]
        assert connection.s3client.get_bucket_cors(Bucket="kept")["CORSRules"] == [CORS]
        task = connection.retrieve_task(done.uuid)
        assert (task.state, task.stdout().splitlines()[1]) == ("Success", "0> said")
        task = connection.retrieve_task(lost.uuid)
        assert task.state == "Failure"
        assert "stopped while this task was running" in task.errors[0].message
        assert connection.retrieve_job(job.uuid).state == "Active"


def test_one_damaged_file_of_the_state_costs_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with LocalCluster(state_dir=tmp_path) as cluster:
        connection = connect(cluster)
        tasks = [command(connection, "true") for _ in range(2)]
        for task in tasks:
            task.submit()
            assert ended(task) == "Success"
        buckets = [connection.create_bucket(name) for name in ("whole", "damaged")]
        for name in ("a", "b", "c"):
            buckets[0].add_string("x", name)
        Secrets(connection).create_secret("key", "value")

    def place(*names: str) -> Path:
        return tmp_path.joinpath("objects", *(hashlib.sha256(name.encode()).hexdigest()[:40] for name in names))

    damaged = [tmp_path / "tasks" / f"{tasks[0].uuid}.json", tmp_path / "secrets.json", place("damaged") / "bucket"]
    damaged.append(place("whole", "a").with_suffix(".json"))
    for file in damaged:
        file.write_text(file.read_text()[:10])
    place("whole", "b").with_suffix(".data").unlink()
    with LocalCluster(state_dir=tmp_path) as cluster:
        connection = connect(cluster)
        assert [task.uuid for task in connection.all_tasks()] == [tasks[1].uuid]
        assert [bucket.uuid for bucket in connection.buckets()] == ["whole"]
        assert keys(connection.retrieve_bucket("whole")) == {"c"}
    for file in damaged:
        assert f"{file} could not be read" in caplog.text
        assert file.with_name(f"{file.name}.broken").exists()


def test_both_ports_are_kept_with_the_state_unless_another_has_them(tmp_path: Path) -> None:
    """Also the storage's: clients may be configured with it, as `QARNOT_STORAGE_URL`."""

    def addresses(**options: Any) -> tuple[list[str], list[str]]:
        with LocalCluster(state_dir=tmp_path, **options) as cluster:
            assert connect(cluster).buckets() == []
            return [cluster.cluster_url, cluster.storage_url], cluster.notes

    (tmp_path / "ports.json").write_text('{"storage": "x", "API": 70000}')
    first, _ = addresses()
    port = int(first[1].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        second, (note,) = addresses()
    assert note.startswith(f"Port {port} is in use by another program: the storage listens at ")
    assert (second[0], second[1] != first[1]) == (first[0], True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = other.getsockname()[1]
    third = [f"http://127.0.0.1:{asked}", second[1]]
    assert addresses(port=asked) == (third, [])
    assert addresses() == (third, [])


def test_the_token_is_kept_with_the_state_and_nowhere_else(tmp_path: Path) -> None:
    """So that what is configured for this cluster works again after a restart."""
    state = tmp_path / "state"

    def token(**options: Any) -> str:
        with LocalCluster(**options) as cluster:
            assert connect(cluster).user_info.email == "you@localhost"
            return cluster.token

    first = token(state_dir=state)
    assert token(state_dir=state) == first
    assert token(state_dir=state, token="own") == "own"
    assert token(state_dir=state) == first
    assert token() not in {first, token(state_dir=tmp_path / "other")}
    assert (state / "token").stat().st_mode & 0o777 == 0o600


def test_a_task_sees_no_secret(monkeypatch: pytest.MonkeyPatch, cluster: LocalCluster, connection: Connection) -> None:
    monkeypatch.setenv("QARNOT_CLIENT_TOKEN", "caller-secret")
    monkeypatch.setenv("SOME_PASSWORD", "other-secret")
    task = command(connection, "env; cat /proc/self/cmdline", MY_CONSTANT="mine")
    task.submit()
    assert ended(task) == "Success"
    output = task.stdout()
    assert "MY_CONSTANT=mine" in output
    assert "INSTANCE_ID=0" in output
    assert "secret" not in output
    assert cluster.token not in output
    assert cluster.token not in repr(cluster)


def test_storage_wants_the_token_and_takes_any_region(
    cluster: LocalCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.create_bucket("signed").add_string("text", "päth with/space & more+plus.txt")
    connection.create_bucket("signed")  # one's own bucket again: 200 (reference §0.10)
    import boto3
    from botocore.config import Config

    def client(secret: str, version: str = "s3v4") -> Any:
        who: dict[str, Any] = {"aws_access_key_id": cluster.email, "aws_secret_access_key": secret}
        config = Config(signature_version=version)
        return boto3.client("s3", endpoint_url=cluster.storage_url, config=config, **who)

    wanted = {"Bucket": "signed", "Key": "päth with/space & more+plus.txt"}
    for given in ({}, {"ResponseContentDisposition": 'attachment; filename="a b.txt"', "ResponseContentType": "a/b"}):
        for each in (connection.s3client, client(cluster.token), client(cluster.token, "s3")):
            url = each.generate_presigned_url("get_object", Params={**wanted, **given})
            assert requests.get(url, timeout=10).text == "text"
            assert requests.get(url.replace("more", "moreover"), timeout=10).status_code == 403
            late = each.generate_presigned_url("get_object", Params=wanted, ExpiresIn=-5)
            assert requests.get(late, timeout=10).status_code == 403
    url = client(cluster.token).generate_presigned_url("put_object", Params={"Bucket": "signed", "Key": "put"})
    assert requests.put(url, data=b"put", timeout=10).status_code == 200
    assert requests.get(f"{cluster.storage_url}/signed", timeout=10).status_code == 403
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    elsewhere = connect(cluster)
    elsewhere.create_bucket("signed")
    elsewhere.create_bucket("elsewhere").add_string("x", "x")
    assert keys(elsewhere.create_bucket("elsewhere")) == {"x"}
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client("wrong").list_buckets()


def test_storage_keeps_connections(cluster: LocalCluster, connection: Connection) -> None:
    connection.create_bucket("kept-alive").add_string("x", "x")
    url = connection.s3client.generate_presigned_url("get_object", Params={"Bucket": "kept-alive", "Key": "x"})
    with requests.Session() as session:
        connections = set()
        for _ in range(3):
            answer = session.get(url, timeout=10, stream=True)
            connection_used: Any = answer.raw.connection
            connections.add(connection_used.sock.getsockname())
            assert answer.text == "x"
        assert len(connections) == 1
