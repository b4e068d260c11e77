"""The local cluster alone, driven by the real SDK over real HTTP, S3 and SSH."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qarnot.connection import Connection
from support.waiting import wait_until

from qarnot_local import LocalCluster


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the developer's account nor proxies nor AWS profile reach the SDK (reference §1.1)."""
    for name in list(os.environ):
        if name.startswith(("QARNOT_", "AWS_", "JUPYTER")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as running:
        yield running


def connect(cluster: Any, token: str | None = None) -> Connection:
    return Connection(
        cluster_url=cluster.cluster_url, client_token=token or cluster.token, retry_count=0, show_bucket_warnings=False
    )


@functools.lru_cache(maxsize=1)  # of more, clusters that have ended would stay in memory
def _connection(cluster: LocalCluster) -> Connection:
    """Made once for each cluster: boto3 needs a third of a second for its two clients."""
    return connect(cluster)


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return _connection(cluster)


def ended(task: Any, seconds: float = 20) -> str:
    """Wait until a task has ended; returns its state."""

    def final() -> str | None:
        task.update(True)
        return task.state if task.state in {"Success", "Failure", "Cancelled"} else None

    return str(wait_until(final, f"{task.name} to end", seconds))


def running(task: Any) -> None:
    """Wait until the task's command has printed something."""
    wait_until(lambda: "started" in task.stdout(), f"the command of {task.name} to run", 20)


def forward(task: Any) -> Any:
    """Wait until the task's port 22 can be reached."""

    def found() -> Any:
        task.update(True)
        assert task.state not in {"Failure", "Success"}, task.errors
        instances = task.status.running_instances_info.per_running_instance_info if task.status else []
        return instances and instances[0].active_forward and instances[0].active_forward[0]

    return wait_until(found, f"{task.name} has a forward")


def keys(bucket: Any) -> set[str]:
    return {file.key for file in bucket.list_files()}


def command(connection: Connection, text: str, **constants: str) -> Any:
    """A task, not yet submitted, that runs a shell script."""
    task = connection.create_task("task", "docker-batch", 1)
    task.constants["DOCKER_CMD"] = f"sh -c '{text}'"
    task.constants.update(constants)
    return task


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two key pairs: `own` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return folder


def ssh(door: Any, key: Path, command: str | None = None, *flags: str) -> list[str]:
    """An OpenSSH command line for a forward, independent of the developer's own configuration."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
    options += ["BatchMode=yes", "ExitOnForwardFailure=yes"]
    line = ["ssh", "-F", "none", "-i", str(key), *(flag for option in options for flag in ("-o", option)), *flags]
    line += ["-p", str(door.forwarder_port), f"root@{door.forwarder_host}"]
    return [*line, command] if command else line
