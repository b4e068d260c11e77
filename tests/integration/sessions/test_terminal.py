"""The commands at a real terminal: times in words, questions, a bar; and what programs get instead."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from datetime import datetime

import pytest
from support.command import CommandLine
from support.waiting import wait_until

KEYS = (
    "id name image app state attempt created ready ends idle_stop saved connections inputs results reason error cost "
    "carbon machines runs"
).split()


def at_a_terminal(cli: CommandLine, *arguments: object, typed: str = "") -> tuple[int, str]:
    """Run a command with a terminal as input and output; return its exit code and all that the terminal was sent."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        cli.command(*arguments), cwd=cli.folder, env=dict(cli.environment), stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    if typed:
        os.write(ours, typed.encode())
    printed = b""
    try:
        while chunk := os.read(ours, 4096):
            printed += chunk
    except OSError:  # Linux says so that nobody has the other end open any more
        pass
    finally:
        os.close(ours)
    return process.wait(timeout=30), printed.decode()


@pytest.fixture
def running(cli: CommandLine) -> str:
    cli("launch", "command", "--set", "command=echo work > made.txt; sleep 600", "--name", "seen", "--detach")
    wait_until(lambda: cli("show", "seen", "--json").json["state"] == "ready", "it to run")
    return "seen"


def test_times_are_words_at_a_terminal_and_iso_8601_elsewhere(cli: CommandLine, running: str) -> None:
    code, printed = at_a_terminal(cli, "sessions")
    assert code == 0
    assert re.search(r"today \d\d:\d\d +(today|tomorrow) \d\d:\d\d \(in (4 h|3 h \d+ min)\)", printed)
    assert re.search(r"seen +command +\w+ +20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ  20", cli("sessions").out)
    assert re.search(r"ends +(today|tomorrow) \d\d:\d\d", at_a_terminal(cli, "show", running)[1])
    found = cli("show", running, "--json").json
    assert datetime.fromisoformat(found["ends"]).utcoffset() is not None


def test_the_json_of_a_session_has_every_key_and_its_machine(cli: CommandLine, running: str) -> None:
    found = cli("show", running, "--json").json
    assert list(found) == KEYS
    assert [list(found) for found in cli("sessions", "--json").json] == [KEYS]
    assert found["ready"] is not None, "also for who came later"
    assert found["created"] <= found["ready"] <= found["ends"]
    assert [machine["cores"] > 0 for machine in found["machines"]] == [True]
    assert [run["id"] for run in found["runs"]] == [found["id"]]
    assert found["idle_stop"] is None
    cli("stop", running, "--no-save")
    over = cli("show", running, "--json").json
    assert (over["machines"], over["runs"][0]["reason"]) == ([], "stopped")
    assert over["runs"][0]["ended"] is not None


def test_who_stops_without_saving_is_told_of_the_last_save_and_asked(cli: CommandLine, running: str) -> None:
    code, printed = at_a_terminal(cli, "stop", running, "--no-save", typed="\n")
    assert code == 0
    assert "Last save of seen: " in printed
    assert "seen goes on." in printed
    cli("save", running)
    code, printed = at_a_terminal(cli, "stop", running, "--no-save", typed="y\n")
    assert re.search(r"Last save of seen: today \d\d:\d\d \(.* ago\)|Last save of seen: .*now", printed)
    assert "seen has ended." in printed


def test_a_program_is_not_asked(cli: CommandLine, running: str) -> None:
    assert "has ended" in cli("stop", running, "--no-save").err


def test_a_table_has_one_line_a_row_in_a_narrow_terminal(cli: CommandLine) -> None:
    printed = at_a_terminal(cli, "images")[1]  # a terminal that does not say its size has 80 columns
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert "…" in printed
    assert "…" not in cli("images").out


def test_images_are_found_by_what_people_call_them(cli: CommandLine) -> None:
    assert "scikit-learn" in cli("images", "sklearn").out
    assert [image["id"] for image in cli("images", "tensroflow", "--json").json] == ["tensorflow", "tensorflow-gpu"]
    assert cli("images", "zzz", expect=1).err.count("\n") == 2


def test_without_arguments_there_is_help_and_no_error(cli: CommandLine) -> None:
    answer = cli()
    assert "run-qarnot demo" in answer.out
    assert answer.err == ""
