"""Tasks of the local cluster, given by the SDK and waited for; the cluster as a program."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qarnot.connection import Connection

from support.repository import ROOT
from support.waiting import wait_until


def connect(cluster: Any, token: str | None = None) -> Connection:
    return Connection(
        cluster_url=cluster.cluster_url, client_token=token or cluster.token, retry_count=0, show_bucket_warnings=False
    )


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


def ssh(door: Any, key: Path, command: str | None = None, *flags: str) -> list[str]:
    """An OpenSSH command line for a forward, independent of the developer's own configuration."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes"]
    options += ["BatchMode=yes", "ExitOnForwardFailure=yes"]
    line = ["ssh", "-F", "none", "-i", str(key), *(flag for option in options for flag in ("-o", option)), *flags]
    line += ["-p", str(door.forwarder_port), f"root@{door.forwarder_host}"]
    return [*line, command] if command else line


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[Any]:
    """`python -m qarnot_local` as a process; what it printed as attributes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "qarnot_local", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(3)]
    found = dict(re.findall(r"^export (\w+)='(.+)'$", "".join(lines), re.MULTILINE))
    try:
        yield SimpleNamespace(
            process=process,
            cluster_url=found["QARNOT_CLUSTER_URL"],
            storage_url=found["QARNOT_STORAGE_URL"],
            token=found["QARNOT_CLIENT_TOKEN"],
        )
    finally:
        process.kill()
        process.communicate()
