"""Ctrl-C ends every command within a second, whatever does not answer: storage, cluster, name server."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine
from support.hostile import HostileProxy, How
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

SECONDS = 4.0  # a quiet machine takes half of one; a busy one more, and a call that is waited for 25
CATALOG = """
[images.shell]
app = "ssh"
profile = "docker-network-ssh"
repo = "library/debian"
command = "sleep 1000"

[images.word]
app = "batch"
profile = "docker-batch"
repo = "library/debian"
command = "sh -c 'echo word > word.txt'"
"""
ANSWER_IN_STORAGE = [
    ("launch", "shell", "--input", "images.toml"),
    ("show", "runs"),
    ("show", "runs", "--json"),
    ("add", "runs", "images.toml"),
    ("extend", "runs", "2"),
    ("start", "ended"),
    ("results", "ended"),
    ("results", "ended", "--zip", "out.zip"),
    ("delete", "ended", "--files", "--yes"),
    ("delete", "--left-over"),
]
ANSWER_IN_CLUSTER = [
    *ANSWER_IN_STORAGE,
    ("check",),
    ("sessions",),
    ("open", "runs"),
    ("logs", "runs"),
    ("logs", "runs", "--follow"),
    ("save", "runs"),
    ("stop", "runs"),
    ("results", "runs"),
    ("delete", "ended"),
]


class DeadServer:
    """Accepts, and never answers."""

    def __init__(self) -> None:
        self.visits: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.visits.append(self._listener.accept()[0])

    def close(self) -> None:
        self._listener.close()
        for each in self.visits:
            each.close()


@pytest.fixture
def dead() -> Iterator[DeadServer]:
    server = DeadServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def cli(of_the_module: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """An account with a session that runs and one that has ended."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "images.toml").write_text(CATALOG)
    cli = CommandLine.of_account(of_the_module, folder)
    cli("launch", "shell", "--name", "runs", "--detach")
    cli("launch", "word", "--name", "ended")
    return cli


def interrupt(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Press Ctrl-C; return how long it takes until the command has ended, and what it printed."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    return time.monotonic() - began, out + err


@pytest.mark.parametrize("arguments", ANSWER_IN_STORAGE, ids=" ".join)
def test_while_the_storage_is_dead(cli: CommandLine, dead: DeadServer, arguments: tuple[str, ...]) -> None:
    process = cli.with_environment(QARNOT_STORAGE_URL=dead.url).start(*arguments)
    wait_until(lambda: dead.visits or process.poll() is not None, "the storage to be asked", seconds=40)
    seconds, printed = interrupt(process)
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert seconds < SECONDS, printed


@pytest.mark.parametrize("arguments", ANSWER_IN_CLUSTER, ids=" ".join)
def test_while_the_cluster_is_dead(
    cli: CommandLine, of_the_module: LocalCluster, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    with HostileProxy(of_the_module.cluster_url) as proxy:
        for method in ("GET", "POST", "DELETE", "PATCH"):
            proxy.trouble(method, "tasks|profiles", how=How(hang=True), times=100)
        process = cli.with_environment(QARNOT_CLUSTER_URL=proxy.url).start(*arguments)

        def is_asked() -> bool:
            return proxy.count("GET", "tasks|profiles") + proxy.count("POST", "tasks") > 0

        wait_until(lambda: is_asked() or process.poll() is not None, "the cluster to be asked", seconds=40)
        seconds, printed = interrupt(process)
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert seconds < SECONDS, printed


def test_while_the_whole_cluster_is_dead(cli: CommandLine, dead: DeadServer) -> None:
    process = cli.with_environment(QARNOT_CLUSTER_URL=dead.url).start("sessions")
    wait_until(lambda: dead.visits, "the cluster to be asked", seconds=40)
    seconds, printed = interrupt(process)
    assert process.returncode == 130, printed
    assert seconds < SECONDS, printed
