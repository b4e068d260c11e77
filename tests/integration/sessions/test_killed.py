"""The process is killed at every step, and started again: from nothing but the token, everything is found again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]

CATALOG = """
schema = 1
[images.machine]
app = "ssh"
profile = "docker-network-ssh"
repo = "library/debian"
command = "sleep 1000"
"""
# What is held at the cluster, what the command says when it gets there, what is found afterwards.
STEPS = {
    "Submitted": ("Waiting", "waiting"),
    "FullyDispatched": ("Loading", "loading"),
    "forward": ("Starting", "starting"),
    "nothing": ("Ready", "ready"),
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "images.toml").write_text(CATALOG)
    yield CommandLine.of_account(cluster, tmp_path)
    cluster.control.reset()


@pytest.mark.parametrize("held", STEPS)
def test_a_session_is_found_again_by_a_process_that_knows_only_the_token(
    cli: CommandLine, cluster: LocalCluster, held: Any
) -> None:
    said, state = STEPS[held]
    if held != "nothing":
        cluster.control.hold(held)
    launch = cli.start("launch", "machine", "--name", f"killed-{state}")
    kill_when(launch, said)
    found = cli("show", f"killed-{state}", "--json").json
    assert found["state"] == state
    cluster.control.release()
    wait_until(lambda: cli("show", found["id"], "--json").json["state"] == "ready", "it to become ready", seconds=20)
    cli("stop", found["name"])
    assert cli("show", found["name"], "--json").json["state"] == "ended"


def test_killed_while_files_travel_nothing_runs_and_what_arrived_is_not_sent_again(
    cli: CommandLine, cluster: LocalCluster, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"x" * 20_000_000)
    cluster.control.delay("s3:UploadPart", 0.3)
    launch = cli.start("launch", "machine", "--name", "half-way", "--input", "big")
    kill_when(launch, "MB of 20")
    assert cli("sessions", "--json").json == [] or all(s["name"] != "half-way" for s in cli("sessions", "--json").json)
    cluster.control.reset()
    cluster.control.clear_calls()
    cli("launch", "machine", "--name", "half-way", "--input", "big", "--json")
    assert cluster.control.count("PUT", "s3:UploadPart") < 3, "three parts in all, and one had arrived"
    cli("stop", "half-way", "--no-save")


def kill_when(process: Any, said: str) -> None:
    for line in iter(process.stderr.readline, ""):
        if said in line:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return
    raise AssertionError(f"it never said “{said}”")
