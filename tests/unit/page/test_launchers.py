"""A file that opens a session from the person's own computer."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from run_qarnot.core import language
from run_qarnot.page.launchers import System, command_for, make_launcher
from run_qarnot.page.words import section

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


def test_the_batch_file_looks_whether_the_port_is_free_and_opens_the_address_once_the_tunnel_has_it() -> None:
    launcher = make_launcher(System.WINDOWS, "lab", COMMAND, URL)
    assert launcher is not None
    lines = launcher.text.split("\r\n")
    check, refuse, wait, ssh = lines[4:8]
    assert check.endswith("""GetActiveTcpListeners().Port -contains 8888) { exit 7 }\"""")
    assert refuse.startswith("if %errorlevel% equ 7 (echo Something else uses port 8888")
    assert "GetActiveTcpListeners().Port -contains 8888) { Start-Process 'http://localhost:8888/lab?" in wait
    assert "?token=a%%2Fb&x=1'; break };" in wait, "cmd.exe takes one % for a variable"
    assert ssh == command_for(System.WINDOWS, COMMAND)


@pytest.mark.parametrize("spoken", list(language.LANGUAGES))
def test_what_it_says_means_nothing_to_the_shell_that_says_it(spoken: str) -> None:
    language.set_language(spoken)
    try:
        batch, script = (make_launcher(system, "lab", COMMAND, URL) for system in (System.WINDOWS, System.LINUX))
        said = section("launcher")
    finally:
        language.set_language("en")
    assert batch is not None
    assert script is not None
    subprocess.run(["sh", "-n"], input=script.text, text=True, check=True)
    for text in (said["closes"], said["ended"]):
        assert f"echo {shlex.quote(text)}" in script.text
        assert f"echo {text}\r\n" in batch.text
    assert not re.findall(r"[&|<>^()%]", "".join(said.values()))
    assert batch.text.startswith("@echo off\r\nchcp 65001 >nul\r\n"), "what follows is UTF-8"
