"""A scientist's week by commands, on the local cluster: a real JupyterLab, pip, an idle stop and a preemption."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine
from support.desk import Desk, at_a_desk
from support.jupyter import opened
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.bootstrap import REMOVED

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle, pytest.mark.timeout(400)]

CATALOG = """
schema = 1
[defaults]
repo = "qarnotlab/jupyterlab-base"
[images.lab]
max_machines = 2
[images.other]
[images.command]
app = "batch"
command = "true"
"""
MOO = "import moo_of_the_test; print(moo_of_the_test.moo())"
RECORD = f"""
import pathlib, time
file = pathlib.Path('{REMOVED}')
while not file.exists() or 'old.csv' not in file.read_text(): time.sleep(0.1)
"""


def show(cli: CommandLine, name: str = "week") -> dict[str, Any]:
    found: dict[str, Any] = cli("show", name, "--json").json
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_week_by_commands(cli: CommandLine, cluster: LocalCluster, control: Control, tmp_path: Path) -> None:
    (cli.folder / "images.toml").write_text(CATALOG)
    data = {"data.bin": os.urandom(100_000), "old.csv": b"old", "more/été.csv": b"x,y\n"}
    for name, content_of in data.items():
        (cli.folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (cli.folder / "data" / name).write_bytes(content_of)
    made = os.urandom(200_000)
    (cli.folder / "late.csv").write_text("late")

    # Monday: files, a package, work; the laptop is closed, and it stops by itself
    launched = cli("launch", "lab", "--name", "week", "--hours", "8", "--idle", "0.4", "--input", "data", "--json").json
    with opened(cli, "week") as jupyter:
        monday = jupyter.address
        assert {"data.bin", "old.csv", "more"} <= set(jupyter.names())
        jupyter.run("!pip install --quiet moo-of-the-test")
        jupyter.write_notebook("work.ipynb", MOO)
        jupyter.remove("old.csv")
        assert jupyter.run(f"open('made.bin', 'wb').write(bytes.fromhex('{made.hex()}'))\n{RECORD}") == ""
    assert cli("start", "week", expect=1).err.startswith("“week” is running already")
    wait_until(lambda: show(cli)["state"] == "ended", "the idle stop", 90)
    assert "Ended. It was stopped because it was idle for 0.4 min; its results are kept." in cli("show", "week").out
    assert "ended (idle)" in cli("sessions").out
    (session,) = cli("sessions", "--json").json
    assert (session["reason"], [run["reason"] for run in session["runs"]]) == ("idle", ["idle"])

    # Tuesday: from another computer, with the token alone; preempted; more hours
    (tmp_path / "elsewhere").mkdir()
    other = dataclasses.replace(
        cli.with_environment(RUN_QARNOT_IMAGES=str(cli.folder / "images.toml")), folder=tmp_path / "elsewhere"
    )
    cli("add", "week", "late.csv")
    started = other("start", "week", "--hours", "2", "--idle", "60", "--json")
    assert "week goes on with its files: run 2, lab, for 2 hours." in started.err
    assert (started.json["id"], started.json["created"]) == (launched["id"], launched["created"])
    with opened(other, "week") as jupyter:
        assert jupyter.address == monday
        assert {"data.bin", "made.bin", "work.ipynb", "late.csv"} <= set(jupyter.names())
        assert "old.csv" not in jupyter.names()
        assert jupyter.run(MOO) == "moo\n"
        jupyter.write("tuesday.txt", "saved")
        other("save", "week")
        control.preempt(started.json["runs"][1]["id"])
        wait_until(lambda: show(other)["attempt"] == 2, "the next machine", 60)
        wait_until(jupyter.answers, "JupyterLab on it, at the same address", 60)
        assert jupyter.read("tuesday.txt") == "saved"
        assert "old.csv" not in jupyter.names()
    assert "run 3, lab, for 4 hours." in other("extend", "week", "4", "--machines", "1", "--idle", "90", "--detach").err
    assert [run["reason"] for run in show(other)["runs"]] == ["idle", "stopped", None]

    # Wednesday: another image
    cli("stop", launched["id"][:8])
    assert "run 4, other" in cli("start", "week", "--image", "other", "--json").err
    with opened(cli, "week") as jupyter:
        assert jupyter.address == monday
        assert jupyter.run(MOO) == "moo\n"
        assert "old.csv" not in jupyter.names()
        jupyter.write("made.bin.txt", "changed on Wednesday")
    cli("stop", "week")

    # Thursday: a copy for a colleague
    copied = cli("launch", "lab", "--from", "week", "--name", "for-ada", "--detach")
    assert "Begins with a copy of week:" in copied.err
    cli("stop", "for-ada")

    # Friday: the results, complete; nothing is left
    cli("results", "week", "--zip", "week.zip")
    cli("results", "week", "--output", "week")
    fetched = content(cli.folder / "week")
    with zipfile.ZipFile(cli.folder / "week.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == fetched
    assert fetched["made.bin"] == made
    assert fetched["made.bin.txt"] == b"changed on Wednesday"
    assert "data.bin" not in fetched, "it was given, not made"
    cli("results", "week", "--inputs", "--output", "all")
    everything = content(cli.folder / "all")
    assert everything == {**fetched, **data, "late.csv": b"late"}
    cli("results", "week", "--inputs", "--zip", "all.zip")
    with zipfile.ZipFile(cli.folder / "all.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == everything
    cli("results", "for-ada", "--inputs", "--output", "copied", "*.bin", "*.csv", "*.txt")
    copies = content(cli.folder / "copied")
    wanted = [name for name in everything if name.endswith((".bin", ".csv", ".txt")) and name != "old.csv"]
    assert {name: copies.get(name) for name in wanted if not name.startswith("requirements")} == {
        name: everything[name] for name in wanted if not name.startswith("requirements")
    }
    assert "old.csv" not in copies

    assert [run["reason"] for run in show(cli)["runs"]] == ["idle", "stopped", "stopped", "stopped"]
    view = show(cli)
    assert view["cost"] == pytest.approx(sum(run["cost"] for run in view["runs"]))
    assert [session["name"] for session in cli("sessions", "--json").json] == ["for-ada", "week"]
    cli("delete", "for-ada", "--files", "--yes")
    assert len(show(cli)["runs"]) == 4
    cli("delete", "week", "--files", "--yes")
    assert cli("sessions", "--json").json == []

    async def left(desk: Desk) -> tuple[object, object]:
        return await desk.account.client.tasks(), await desk.account.client.storage.buckets()

    assert at_a_desk(cluster, left) == ([], {})


def test_what_cannot_be_asked_of_the_next_run_is_refused_before_anything_stops(cli: CommandLine) -> None:
    (cli.folder / "images.toml").write_text(CATALOG)
    cli("launch", "lab", "--name", "once", "--detach")
    for command in (("extend", "once", "2", "--machines", "3"), ("extend", "once", "2", "--idle", "0.01")):
        assert "not possible" in (said := cli(*command, expect=1).err) or "cannot run on 3 machines" in said
        assert show(cli, "once")["state"] != "ended"
    cli("stop", "once", "--no-save")
    assert "cannot run on 3 machines" in cli("start", "once", "--machines", "3", expect=1).err
