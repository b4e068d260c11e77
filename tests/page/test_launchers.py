"""A file that opens a session from the person's own computer."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from run_qarnot.page.launchers import System, command_for, make_launcher

COMMAND = (
    "ssh -N -L 8888:localhost:8888 -o ExitOnForwardFailure=yes -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ServerAliveInterval=30 -p 41022 root@forward.example.org"
)
URL = "http://localhost:8888/lab?token=a%2Fb&x=1"


def test_the_line_is_that_of_the_system() -> None:
    assert command_for(System.LINUX, COMMAND) == command_for(System.MACOS, COMMAND) == COMMAND
    assert command_for(System.WINDOWS, COMMAND) == COMMAND.replace("/dev/null", "NUL")
    assert command_for(System.LINUX, COMMAND.replace("/dev/null", "NUL")) == COMMAND, "the page may run on Windows"


@pytest.mark.parametrize(
    ("system", "name"), [(System.LINUX, "lab.sh"), (System.MACOS, "lab.command"), (System.WINDOWS, "lab.bat")]
)
def test_it_is_called_after_the_session(system: System, name: str) -> None:
    launcher = make_launcher(system, "lab", COMMAND, URL)
    assert launcher is not None
    assert launcher.name == name


@pytest.mark.parametrize(("system", "opener"), [(System.LINUX, "xdg-open"), (System.MACOS, "open")])
def test_the_script_has_ssh_open_the_address_when_it_is_connected(system: System, opener: str) -> None:
    launcher = make_launcher(system, "lab", COMMAND, URL)
    assert launcher is not None
    subprocess.run(["sh", "-n"], input=launcher.text, text=True, check=True)
    (line,) = [line for line in launcher.text.splitlines() if line.startswith("ssh ")]
    words = shlex.split(line.split(" || ")[0])
    local = next(word for word in words if word.startswith("LocalCommand="))
    assert local == f"LocalCommand={opener} '{URL.replace('%', '%%')}' >/dev/null 2>&1 &"
    assert [word for word in words if word not in {local, "PermitLocalCommand=yes"}][3:] == shlex.split(COMMAND)[1:]


@pytest.mark.parametrize("hostile", ["$(touch x)", "'; touch x; '", "`touch x`", '"', "a b"])
def test_nothing_in_it_is_run_but_what_is_meant(hostile: str) -> None:
    command = shlex.join([*shlex.split(COMMAND)[:-1], f"root@{hostile}"])
    launcher = make_launcher(System.LINUX, "lab", command, f"{URL}{hostile}")
    assert launcher is not None
    line = next(line for line in launcher.text.splitlines() if line.startswith("ssh "))
    assert shlex.split(line.split(" || ")[0])[-1] == f"root@{hostile}"
    assert make_launcher(System.WINDOWS, "lab", command, URL) is None, "there is no safe way to write it"
    assert make_launcher(System.WINDOWS, "lab", COMMAND, f"{URL}{hostile}") is None


def test_the_batch_file_waits_for_the_port_and_doubles_the_percent() -> None:
    launcher = make_launcher(System.WINDOWS, "lab", COMMAND, URL)
    assert launcher is not None
    lines = launcher.text.split("\r\n")
    assert command_for(System.WINDOWS, COMMAND) in lines
    (start,) = [line for line in lines if line.startswith("start ")]
    assert "Connect('localhost', 8888)" in start
    assert start.endswith("""Start-Process 'http://localhost:8888/lab?token=a%%2Fb&x=1'\"""")
