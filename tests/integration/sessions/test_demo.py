"""`run-qarnot demo`: it starts by itself, and nothing of it stays, however it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine, clean_environment, read_line
from support.ports import take_port
from support.processes import gone
from support.servers import ports_of, running
from support.waiting import wait_until

pytestmark = pytest.mark.lifecycle


@pytest.fixture
def cli(tmp_path: Path) -> Any:
    return CommandLine(tmp_path, clean_environment(HOME=str(tmp_path)))


def page_of(server: Any) -> Any:
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(server.address(), timeout=60) as answer:  # the address is printed when it answers
        return answer.read().decode()


def test_the_address_answers_and_ctrl_c_leaves_nothing(cli: CommandLine) -> None:
    with running(cli, "demo", "--no-browser") as demo:
        assert "<title>Run Qarnot</title>" in page_of(demo)
        family = demo.family()
        ports = ports_of(family)
        assert {ip for ip, _ in ports} <= {"127.0.0.1", "::1"}, "nothing listens outside this machine"
        assert demo.interrupt() == 0
        wait_until(lambda: gone(family), "all processes to be gone")
        for ip, port in ports:
            with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
                assert probe.connect_ex((ip, port)) != 0, f"{ip}:{port} still listens"
        assert "Traceback" not in demo.printed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_kill_leaves_nothing(cli: CommandLine, number: int) -> None:
    with running(cli, "demo", "--no-browser") as demo:
        demo.address()
        family = demo.family()
        demo.process.send_signal(number)
        wait_until(lambda: gone(family), "all processes to be gone", seconds=20)


def test_a_kill_of_who_started_it_leaves_nothing(cli: CommandLine) -> None:
    script = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *cli.command("demo", "--no-browser")], cwd=cli.folder, text=True,
        env=dict(cli.environment), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    import psutil

    assert "http" in read_line(parent.stdout)
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) >= 4
    parent.kill()
    parent.communicate()
    wait_until(lambda: gone(family), "the demo and all of its parts to be gone", seconds=20)


def test_a_port_in_use_is_stepped_over_and_one_that_was_asked_for_is_said(cli: CommandLine) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        take_port(other, 8866)
        other.listen()
        with running(cli, "demo", "--no-browser") as demo:
            assert ":8866/" not in demo.address()
        answer = cli("demo", "--no-browser", "--port", "8866", expect=1)
        assert "Port 8866 of this machine is in use" in answer.err
        said = cli("cluster", "--port", "8866", expect=1).err.splitlines()
        assert said[0] == "Port 8866 of this machine is in use."
    (cli.folder / "file").touch()
    said = cli("cluster", "--state-dir", "file/inside", expect=1).err.splitlines()
    assert "could not be written: Not a directory." in said[0]
    assert said[1].startswith("Choose a folder")
