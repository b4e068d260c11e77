"""Whole lives of sessions, by the command line, with real parts: HTTP, S3, SSH, JupyterLab, pip."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine, read_line
from support.jupyter import Jupyter, opened
from support.ssh import make_key, running, words
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.engine.ports import free_ports

pytestmark = pytest.mark.lifecycle
LINK = re.compile(r"http://localhost:8888/rq-[0-9a-f]{12}/lab\?token=")


def connection(session: dict[str, Any], kind: str) -> Any:
    return next(connection for connection in session["connections"] if connection["kind"] == kind)


def test_from_an_input_folder_through_openssh_to_a_zip(cli: CommandLine, cluster: LocalCluster, tmp_path: Path) -> None:
    data = cli.folder / "data"
    (data / "deep").mkdir(parents=True)
    (data / "hello.txt").write_text("hello\n")
    (data / "deep/été.bin").write_bytes(bytes(range(256)) * 1000)
    key = make_key(tmp_path)

    launched = cli("launch", "base", "--input", "data/", "--ssh-key", key, "--name", "life", "--json")
    session = launched.json
    assert session["state"] == "ready"
    assert session["name"] == "life"
    assert session["ready"] >= session["created"]
    assert [d["kind"] for d in session["connections"]] == ["vscode", "ssh"]
    ssh = connection(session, "ssh")
    assert ":localhost:8888" in words(ssh["command"])[words(ssh["command"]).index("-L") + 1]

    known_hosts = Path.home() / ".ssh/known_hosts"
    before = known_hosts.read_bytes() if known_hosts.exists() else None
    with running(ssh["command"]):
        jupyter = Jupyter(ssh["url"])
        wait_until(jupyter.answers, "JupyterLab to answer through OpenSSH")
        assert {"hello.txt", "deep"} <= set(jupyter.names())
        assert jupyter.run("print(open('hello.txt').read() + 'from the kernel')") == "hello\nfrom the kernel\n"
        jupyter.run("open('made.bin', 'wb').write(bytes(range(256)) * 5000)")
        jupyter.write_notebook("work.ipynb", "1 + 1")
        notebook = jupyter.read("work.ipynb")
    assert (known_hosts.read_bytes() if known_hosts.exists() else None) == before

    cli("save", "life")
    assert cli("show", "life", "--json").json["saved"] is not None
    stopped = cli("stop", "lif")  # a unique beginning is enough
    assert "Saving" in stopped.err
    assert cli("show", "life", "--json").json["state"] == "ended"
    shown = cli("show", "life", "--json").json
    assert shown["reason"] == "stopped"
    assert cli("show", shown["id"].upper(), "--json").json["name"] == "life"

    cli("results", "life", "--zip", "life.zip")
    with zipfile.ZipFile(cli.folder / "life.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("made.bin") == bytes(range(256)) * 5000
        assert archive.read("work.ipynb").decode() == notebook
        assert "hello.txt" not in archive.namelist(), "untouched inputs are not sent back"
        names = archive.namelist()
    printed = subprocess.run(
        [sys.executable, "-m", "run_qarnot", "results", "life", "--zip", "-"],
        env=cli.environment, cwd=cli.folder, stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    assert zipfile.ZipFile(io.BytesIO(printed)).namelist() == names
    cli("results", "life", "--output", "some", "*.bin")
    assert [path.name for path in (cli.folder / "some").rglob("*") if path.is_file()] == ["made.bin"]

    again = cli("results", "life", "--zip", "life.zip", expect=1)
    assert "already exists" in again.err


def test_a_key_is_not_needed_and_a_package_is_back_in_the_session_that_continues(cli: CommandLine) -> None:
    launched = cli("launch", "base", "--name", "first", "--json").json
    assert connection(launched, "tunnel")["note"].startswith("Opens JupyterLab"), "that of this program is closed"
    with opened(cli, "first") as jupyter:
        assert "ModuleNotFoundError" in jupyter.run("import moo_of_the_test")
        jupyter.run("!pip install --quiet moo-of-the-test")
        assert jupyter.run("import moo_of_the_test; print(moo_of_the_test.moo())") == "moo\n"
        jupyter.write_notebook("kept.ipynb", "import moo_of_the_test")
        wait_until(lambda: "moo" in jupyter.read("requirements.txt"), "the package to be in requirements.txt")
    cli("stop", "first")
    cli("results", "first", "--output", "first")
    assert "\nmoo-of-the-test==1.0\n" in (cli.folder / "first/requirements.txt").read_text()

    started = cli("start", "first", "--json").json
    assert (started["id"], len(started["runs"])) == (launched["id"], 2)
    with opened(cli, "first") as jupyter:
        assert "kept.ipynb" in jupyter.names()
        assert jupyter.run("import moo_of_the_test; print(moo_of_the_test.moo())") == "moo\n"
    cli("stop", "first", "--no-save")
    assert [session["state"] for session in cli("sessions", "--json").json] == ["ended"]


def test_what_is_uploaded_now_wins_over_what_is_copied(cli: CommandLine) -> None:
    (cli.folder / "new").mkdir()
    cli("launch", "base", "--name", "older", "--json")
    with opened(cli, "older") as jupyter:
        jupyter.run("open('shared.txt', 'w').write('old'); open('only-old.txt', 'w').write('old')")
    cli("stop", "older")
    (cli.folder / "new/shared.txt").write_text("new")
    cli("launch", "base", "--name", "newer", "--from", "older", "--input", "new", "--json")
    (cli.folder / "late.txt").write_text("late")
    with opened(cli, "newer") as jupyter:
        assert jupyter.read("shared.txt") == "new"
        assert jupyter.read("only-old.txt") == "old"
        cli("add", "newer", "late.txt")
        wait_until(lambda: "late.txt" in jupyter.names(), "the added file to reach the machine")
    cli("stop", "newer", "--no-save")
    kept = cli("delete", "older")
    assert "still in older-in and older-out" in kept.err
    assert "no session “older”" in cli("show", "older", expect=1).err


def test_a_detached_launch_is_found_again_and_its_log_can_be_followed_through_trouble(
    cli: CommandLine, cluster: LocalCluster
) -> None:
    name, control = cli("launch", "base", "--detach").out.strip(), cluster.control
    control.clear_calls()
    routes = "/tasks/*", "/tasks/*/stdout"
    for route in routes:
        control.fail_next("GET", route, status=401)
    follower = cli.start("logs", name, "--follow")
    try:
        wait_until(lambda: all(control.count("GET", route) for route in routes), "the follower to be refused")
        wait_until(lambda: state_of(cli, name) == "ready", "the session to be ready", seconds=30)
        wait_until(lambda: LINK.search(cli("logs", name).out), "the image to print its link")
        cli("stop", name)
        printed, told = follower.communicate(timeout=20)
    finally:
        follower.kill()
    assert LINK.search(printed)
    assert "does not accept this token. Trying again; the session goes on." in told

    control.fail_next("GET", "/tasks/*/stdout", status=503, times=2)
    afterwards = cli("logs", name, "--follow")
    assert LINK.search(afterwards.out)
    assert re.fullmatch(r" +\d\.\d s  The cluster at .* does not answer: .*\. Trying again\.\n", afterwards.err)
    control.fail_next("GET", "/tasks/*/stdout", status=403, body={"message": "Not for you"})
    assert "does not allow this: Not for you" in cli("logs", name, "--follow", expect=1).err


def test_the_token_is_in_no_output_and_in_no_file(cli: CommandLine, cluster: LocalCluster) -> None:
    log = cli.folder / "run.log"
    options = ["--log-level", "debug", "--log-file", log]
    said = [cli("launch", "base", "--name", "quiet", "--json", *options)]
    said += [cli(command, "quiet", *options) for command in ("show", "save", "logs", "stop", "show", "results")]
    said.append(cli("sessions", "--json", *options))
    for answer in said:
        assert cluster.token not in answer.out + answer.err
    assert log.stat().st_size > 0
    for path in cli.folder.rglob("*"):
        if path.is_file():
            assert cluster.token.encode() not in path.read_bytes(), path


def state_of(cli: CommandLine, name: str) -> str:
    return str(cli("show", name, "--json").json["state"])


CATALOG = """
schema = 1
[defaults]
profile = "docker-network-ssh"
repo = "library/debian"
[images.page]
app = "web"
port = {port}
command = "python3 -m http.server --bind 127.0.0.1 {port}"
[images.work]
app = "batch"
command = "sleep 1000"
"""
SHORTER = """
from run_qarnot import hookimpl

@hookimpl
def rq_prepare(plan):
    plan.hours = 1.5
"""


@pytest.fixture
def quick(cli: CommandLine) -> CommandLine:
    """Images that start in a blink, and a plugin that knows better how long they may run."""
    (cli.folder / "images.toml").write_text(CATALOG.format(port=next(iter(free_ports(22000)))))
    (cli.folder / "plugins").mkdir()
    (cli.folder / "plugins" / "shorter.py").write_text(SHORTER)
    return cli


def interrupted(command: subprocess.Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C; return what else is printed."""
    command.send_signal(signal.SIGINT)
    return command.communicate(timeout=20)


def test_json_is_all_that_is_on_standard_output(quick: CommandLine) -> None:
    assert json.loads(quick("sessions", "--json").out) == quick("sessions", "--json").json
    assert isinstance(quick("images", "--json").json, list)
    launch = quick.start("launch", "page", "--name", "told", "--hours", "2,5", "--open", "--json")
    lines: list[str] = []
    while lines[-1:] != ["}\n"]:
        lines.append(read_line(launch.stdout))
    wait_until(lambda: "Ctrl-C" in read_line(launch.stderr), "all to be said")
    rest, told = interrupted(launch)
    assert (json.loads("".join(lines))["state"], rest) == ("ready", "")
    assert "told goes on." in told
    quick("stop", "told", "--no-save")


def test_what_ends_by_itself_has_nothing_to_open_and_a_launch_says_what_the_plan_is(quick: CommandLine) -> None:
    assert "it runs a command, and ends with it" in quick("launch", "work", "--open", expect=1).err
    launched = quick("launch", "work", "--name", "works", "--detach").err
    assert "stops by itself after 1.5 hours" in launched
    assert "it runs a command, and ends with it" in quick("open", "works", expect=1, timeout=20).err
    quick("stop", "works", "--no-save")


def test_ctrl_c_says_whether_the_session_goes_on(quick: CommandLine, cluster: LocalCluster) -> None:
    control = cluster.control
    control.delay("/tasks", 2.0, times=1)
    launch = quick.start("launch", "page", "--name", "lives")
    wait_until(lambda: "Asking the cluster" in read_line(launch.stderr), "the submission")
    told = interrupted(launch)[1]
    assert "The submission is under way; waiting for the cluster's answer…" in told
    assert "lives goes on." in told
    wait_until(lambda: state_of(quick, "lives") == "ready", "it to be ready", seconds=30)
    control.hold("snapshot")
    saving = quick.start("save", "lives")
    wait_until(lambda: control.count("POST", "/tasks/*/snapshot"), "the snapshot")
    assert "lives goes on." in interrupted(saving)[1]
    control.hold("PendingCancel")
    stopping = quick.start("stop", "lives", "--no-save")
    wait_until(lambda: control.count("POST", "/tasks/*/abort"), "the stop")
    assert "lives was asked to stop, and ends." in interrupted(stopping)[1]
    control.release()


def test_open_works_with_the_users_key_where_the_machine_knows_no_other(cli: CommandLine, tmp_path: Path) -> None:
    key = make_key(tmp_path)
    launch = cli.start("launch", "base", "--name", "own-key", "--ssh-key", key, "--open")
    try:
        lines = iter(partial(read_line, launch.stdout), "")
        address = next(line.strip() for line in lines if line.startswith("http://127.0.0.1:"))
        wait_until(Jupyter(address).answers, "JupyterLab through the tunnel of `launch --open`")
    finally:
        launch.terminate()
        launch.communicate(timeout=10)
    refused = cli("open", "own-key", expect=1)
    assert "does not accept the key" in refused.err
    assert "`run-qarnot open own-key --ssh-key FILE`" in refused.err
    opener = cli.start("open", "own-key", "--ssh-key", key, "--no-browser")
    try:
        wait_until(Jupyter(read_line(opener.stdout).strip()).answers, "JupyterLab through the tunnel of `open`")
    finally:
        opener.terminate()
        opener.communicate(timeout=10)
    cli("stop", "own-key", "--no-save")
