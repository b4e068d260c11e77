"""Several machines with Dask, from `launch --machines` to the end, by commands, with real Dask."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.command import CommandLine, read_line
from support.dask import dask_processes, nothing_is_left
from support.git_server import make_repository, serving
from support.jupyter import Jupyter
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.links import read_link
from run_qarnot.model.settings import read_settings

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle, pytest.mark.timeout(600)]

CONNECT = """
from dask.distributed import Client, as_completed
client = Client(timeout=60)
client.wait_for_workers({workers}, timeout=120)
print("workers:", len(client.scheduler_info()["workers"]))
"""
# Each value takes long enough that all machines get some.
WORK = """
import time
def square(number):
    time.sleep(0.2)
    return number * number
def where():
    import os
    return os.environ["INSTANCE_ID"]
futures = client.map(square, range({count}), pure=False)
for number, _ in enumerate(as_completed(futures)):
    open("progress.txt", "w").write(str(number))
print("sum:", sum(client.gather(futures)))
print("machines:", sorted(client.run(where).values()))
"""
COUNT = 150
SUM = sum(number * number for number in range(COUNT))


class Many:
    """A session with several machines, and its JupyterLab."""

    def __init__(self, cli: CommandLine, name: str, address: str) -> None:
        self._cli = cli
        self._name = name
        self.address = address
        self.lab = Jupyter(address)

    def session(self) -> dict[str, Any]:
        session: dict[str, Any] = self._cli("show", self._name, "--json").json
        return session

    def is_computing(self) -> bool:
        return "progress.txt" in self.lab.names() and int(self.lab.read("progress.txt") or 0) >= 20

    def log(self) -> str:
        return self._cli("logs", self._name).out


@contextmanager
def opened(cli: CommandLine, name: str, machines: int, *more: object) -> Iterator[Many]:
    """Launch, and hold the tunnel open as a user does."""
    cli("launch", "dask", "--name", name, "--machines", machines, *more, timeout=180)
    opener = cli.start("open", name, "--no-browser")
    try:
        assert opener.stdout
        yield Many(cli, name, read_line(opener.stdout).strip())
    finally:
        opener.terminate()
        opener.communicate(timeout=30)


def in_background(work: Callable[[], str]) -> Callable[[], str]:
    """Begin a call; returns the way to wait for what it returns."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()

    def wait() -> str:
        thread.join(150)
        return answers[0]

    return wait


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """A repository with a notebook, on a git server of this machine."""
    source = CONNECT.format(workers=3) + WORK.format(count=COUNT)
    cell = {"cell_type": "code", "id": "one", "metadata": {}, "source": source}
    notebook = {"cells": [{**cell, "outputs": [], "execution_count": None}], "metadata": {}}
    text = json.dumps({**notebook, "nbformat": 4, "nbformat_minor": 5})
    make_repository(tmp_path / "git" / "squares.git", {"squares.ipynb": text})
    with serving(tmp_path / "git") as address:
        yield f"{address}squares.git"


def test_the_notebook_of_a_repository_computes_on_all_machines_and_survives_the_loss_of_one(
    cli: CommandLine, cluster: LocalCluster, repository: str
) -> None:
    link, badge = cli("link", "dask", "--git", repository, "--machines", 4, "--open", "squares.ipynb").out.splitlines()
    assert badge.endswith(f"]({link})")
    filled = read_link(urlsplit(link).query, find_plugins(read_settings({}, cli.folder)).catalog())
    assert (filled.git, filled.machines, filled.opened, filled.ignored) == (repository, 4, "squares.ipynb", ())
    with opened(cli, "many", 4, "--git", repository) as many:
        session = many.session()
        assert "machine  4 of 4: " in cli("show", "many").out
        assert urlsplit(many.address).path.endswith("/lab/tree/squares")
        (cell,) = json.loads(many.lab.read("squares/squares.ipynb"))["cells"]
        result = in_background(lambda: many.lab.run("".join(cell["source"])))
        wait_until(many.is_computing, "the computation to be in the middle", 120)
        assert len(dask_processes()) >= 4
        cluster.control.preempt(session["id"], instances=[2])
        printed = result()
        assert "workers: 3" in printed, printed
        assert f"sum: {SUM}" in printed, printed
        wait_until(lambda: many.log().count("works for tls://") == 4, "the lost machine to come back", 120)
        assert many.session()["attempt"] == 1, "the first machine is the same"
        again = many.lab.run(CONNECT.format(workers=3) + WORK.format(count=30))
        assert "machines: ['1', '2', '3']" in again, again
        dashboard = many.address.replace("/lab/tree/squares?", "/proxy/8787/status?")
        wait_until(lambda: "Dask" in requests.get(dashboard, timeout=30).text, "Dask's dashboard")
    cli("stop", "many")
    assert cli("show", "many", "--json").json["state"] == "ended"
    nothing_is_left()
    cli("results", "many", "--output", "results")
    logs = {file.name for file in (cli.folder / "results" / "logs").iterdir()}
    assert logs == {"qarnot.log", *(f"machine-{number}.log" for number in range(4))}


def test_a_preempted_first_machine_is_found_again_and_its_end_ends_all(cli: CommandLine, cluster: LocalCluster) -> None:
    with opened(cli, "two", 2) as two:
        session = two.session()
        cluster.control.preempt(session["id"], instances=[0])
        wait_until(lambda: two.session()["attempt"] == 2, "another first machine", 120)
        wait_until(two.lab.answers, "its JupyterLab", 120)
        printed = two.lab.run(CONNECT.format(workers=1) + WORK.format(count=20))
        assert f"sum: {sum(number * number for number in range(20))}" in printed, printed
        two.lab.shut_down()
        wait_until(lambda: two.session()["state"] == "ended", "the end of all machines", 60)
    assert two.session()["reason"] == "finished"
    nothing_is_left()


def test_a_command_runs_on_several_machines_and_their_outputs_are_told_apart(cli: CommandLine) -> None:
    command = "echo machine $INSTANCE_ID of $INSTANCE_COUNT; echo x > part-$INSTANCE_ID.txt"
    cli("launch", "command", "--name", "parts", "--machines", 3, "--set", f"command={command}")
    wait_until(lambda: cli("show", "parts", "--json").json["state"] == "ended", "the end of the command", 60)
    lines = set(cli("logs", "parts").out.splitlines())
    assert {"machine 0 of 3", "1> machine 1 of 3", "2> machine 2 of 3"} <= lines, lines
    cli("results", "parts", "--output", "results")
    found = {file.name for file in (cli.folder / "results").glob("part-*")}
    assert found == {f"part-{number}.txt" for number in range(3)}
