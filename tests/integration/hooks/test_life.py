"""Plugins in a whole life of a session, on the local cluster and by the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine
from support.repository import ROOT

from qarnot_local import LocalCluster

PLUGIN = """
import json
import pathlib

from run_qarnot import Refusal, hookimpl

HERE = pathlib.Path(__file__).parent


@hookimpl
def rq_prepare(plan, spec):
    if plan.hours > 5:
        raise Refusal("five hours are enough for everybody.")
    plan.constants["WORD"] = "from a plugin"


@hookimpl
def rq_event(session, event):
    with (HERE / "told").open("a") as file:
        print(json.dumps([session.name, event.name, repr(session)]), file=file)
"""
CATALOG = """schema = 1
[images.word]
app = "batch"
profile = "docker-batch"
command = "sh -c 'echo the word is $WORD and $EXTRA'"
options = { extra = { constant = "EXTRA" } }
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> CommandLine:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "ours.py").write_text(PLUGIN)
    (tmp_path / "images.toml").write_text(CATALOG)
    return CommandLine.of_account(cluster, tmp_path)


@pytest.mark.lifecycle
def test_a_plugin_changes_a_session_and_hears_of_its_life(cli: CommandLine, cluster: LocalCluster) -> None:
    cli("launch", "word", "--name", "with-plugin", "--set", "extra=an option")
    assert "the word is from a plugin and an option" in cli("logs", "with-plugin").out
    told = [json.loads(line) for line in (cli.folder / "plugins" / "told").read_text().splitlines()]
    assert {name for name, _, _ in told} == {"with-plugin"}
    events = [event for _, event, _ in told]
    assert events[-1] == "ended"  # told before the command is over
    assert len(events) == len(set(events))
    assert cluster.token not in "".join(seen for _, _, seen in told)
    cli("sessions")
    cli("show", "with-plugin")
    assert len((cli.folder / "plugins" / "told").read_text().splitlines()) == len(told)  # to look is no event


BAD_PANELS = """
from run_qarnot import Panel, hookimpl


@hookimpl
def rq_panel(session):
    if session.name == "with-panels":
        return Panel("Colours", "\\x1b[31mred\\x1b[0m of https://x/?token=abcdefgh", ("Of",), (("one", "two"), ()))
    return 1 / 0
"""


@pytest.mark.lifecycle
def test_show_prints_what_plugins_have_to_show(cli: CommandLine) -> None:
    shutil.copy(ROOT / "plugins" / "receipt.py", cli.folder / "plugins")
    (cli.folder / "plugins" / "colours.py").write_text(BAD_PANELS)
    packages = "echo moo==1.0 > requirements.txt"
    (cli.folder / "images.toml").write_text(CATALOG.replace("echo the word", f"{packages}; echo the word"))
    cli("launch", "word", "--name", "with-panels")
    shown = cli("show", "with-panels").out
    assert "Packages (receipt.py)\n1 packages, 1 of them installed by you.\n" in shown
    assert [line.split() for line in shown.splitlines() if "moo" in line] == [["moo", "1.0", "✓"]]
    assert "Colours (colours.py)\n\\x1b[31mred\\x1b[0m of https://x/?token=[hidden]\n" in shown, "nothing to obey"
    assert cli("show", "with-panels", "--json").json["name"] == "with-panels", "programs get what was promised them"
    cli("launch", "word", "--name", "without")
    answer = cli("show", "without")
    assert "Packages (receipt.py)" in answer.out
    assert "colours.py" in answer.err
    assert "ZeroDivisionError" in answer.err


@pytest.mark.lifecycle
def test_what_a_plugin_refuses_makes_nothing(cli: CommandLine) -> None:
    answer = cli("launch", "word", "--name", "refused", "--hours", "6", expect=1)
    assert "It was not started: five hours are enough for everybody." in answer.err
    assert "ours.py" in answer.err
    assert "refused" not in {session["name"] for session in cli("sessions", "--json").json}
    cli("launch", "word", "--name", "refused", "--hours", "1")  # the name is free: no bucket was made
