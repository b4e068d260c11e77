"""Each known fault of the notebook that this product replaces (`design.md` §11) has a test here that it is not here."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from qarnot.connection import Connection
from support.command import CommandLine, read_line
from support.jupyter import Jupyter
from support.ports import take_port
from support.waiting import wait_until

from run_qarnot.bootstrap import KEYS

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]

DIES = """
schema = 1
[images.dies]
profile = "docker-network-ssh"
repo = "library/ubuntu"
command = "sh -c 'exit 7'"
"""


def test_an_input_folder_is_not_mirrored_so_nothing_on_the_bucket_is_deleted(cli: CommandLine, sdk: Connection) -> None:
    cli("launch", "base", "--name", "mirror", "--detach")
    sdk.retrieve_bucket("mirror-in").add_string("mine", "was-there.txt")
    (cli.folder / "new").mkdir()
    (cli.folder / "new/new.txt").write_text("new")
    cli("add", "mirror", "new")
    cli("stop", "mirror", "--no-save")
    keys = {file.key for file in sdk.retrieve_bucket("mirror-in").list_files()}
    assert keys - KEYS == {"was-there.txt", "new.txt"}


def test_two_sessions_never_share_buckets(cli: CommandLine, sdk: Connection) -> None:
    names = [cli("launch", "base", "--detach").out.strip() for _ in range(2)]
    sessions = [cli("show", name, "--json").json for name in names]
    buckets = [session[which] for session in sessions for which in ("inputs", "results")]
    assert len(set(buckets)) == 4
    for name in names:
        cli("stop", name, "--no-save")
    sdk.create_bucket("older-work-in").add_string("precious", "data.txt")
    answer = cli("launch", "base", "--name", "older-work", expect=1)
    assert "already has files" in answer.err


def test_a_start_can_be_given_up_at_any_moment(cli: CommandLine) -> None:
    """The click handler blocked, so Abort could not be pressed."""
    launch = cli.start("launch", "base", "--name", "given-up")
    line = read_line(launch.stderr)
    while "Starting" not in line and "Asking" not in line:
        line = read_line(launch.stderr)
    launch.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, rest = launch.communicate(timeout=10)
    assert time.monotonic() - asked < 5
    assert launch.returncode == 130
    assert "Traceback" not in rest
    if "goes on" in rest:
        cli("stop", "given-up", "--no-save")
    assert not any(s["state"] == "ready" for s in cli("sessions", "--json").json if s["name"] == "given-up")


def test_a_failure_ends_the_watching_at_once_with_a_sentence(cli: CommandLine) -> None:
    """`Failure` looped for ever at 100 % of a core, and an exception became `cannot unpack`."""
    (cli.folder / "images.toml").write_text(DIES)
    answer = cli("launch", "dies", "--name", "dies", expect=1, timeout=30)
    assert "“dies” failed" in answer.err
    assert "unpack" not in answer.err


def test_a_jupyter_of_ones_own_on_8888_is_not_opened_instead(cli: CommandLine) -> None:
    with socket.socket() as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        take_port(own, 8888)
        own.listen()
        threading.Thread(target=_answer_like_jupyter, args=(own,), daemon=True).start()
        cli("launch", "base", "--name", "not-mine", "--json")
        opener = cli.start("open", "not-mine", "--no-browser")
        try:
            address = read_line(opener.stdout).strip()
            assert ":8888/" not in address
            wait_until(Jupyter(address).answers, "the session's own JupyterLab")
        finally:
            opener.terminate()
            opener.communicate(timeout=10)
        cli("stop", "not-mine", "--no-save")


def test_user_and_port_come_from_the_catalog_and_the_host_from_the_cluster(cli: CommandLine, tmp_path: Path) -> None:
    from support.ssh import make_key, words

    (cli.folder / "images.toml").write_text(
        'schema = 1\n[images.mine]\nrepo = "qarnotlab/jupyterlab-base"\ntag = "v1"\nssh_user = "qarnot"\n'
    )
    session = cli("launch", "mine", "--name", "mine", "--ssh-key", make_key(tmp_path), "--json").json
    command = words(session["connections"][-1]["command"])
    assert re.fullmatch(r"qarnot@127\.0\.0\.1", command[-1])
    cli("stop", "mine", "--no-save")


def test_snapshots_are_taken_every_few_minutes_not_every_five_seconds(cli: CommandLine, sdk: Connection) -> None:
    cli("launch", "base", "--name", "calm", "--detach")
    task = sdk.retrieve_task(cli("show", "calm", "--json").json["id"])
    assert task._snapshot_interval == 300
    cli("stop", "calm", "--no-save")


def test_stop_waits_for_the_snapshot(cli: CommandLine) -> None:
    cli("launch", "base", "--name", "saved", "--json")
    opener = cli.start("open", "saved", "--no-browser")
    try:
        Jupyter(read_line(opener.stdout).strip()).run("open('big.bin', 'wb').write(b'x' * 60_000_000)")
    finally:
        opener.terminate()
        opener.communicate(timeout=10)
    cli("stop", "saved")
    cli("results", "saved", "--output", "saved", "big.bin")
    assert (cli.folder / "saved/big.bin").stat().st_size == 60_000_000


def test_the_known_hosts_of_the_user_are_left_alone(cli: CommandLine, tmp_path: Path) -> None:
    from support.ssh import make_key, words

    session = cli("launch", "base", "--name", "hosts", "--ssh-key", make_key(tmp_path), "--json").json
    command = words(session["connections"][-1]["command"])
    assert "UserKnownHostsFile=/dev/null" in command
    assert not (tmp_path / ".ssh").exists()
    cli("stop", "hosts", "--no-save")


def _answer_like_jupyter(listener: Any) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.close()
