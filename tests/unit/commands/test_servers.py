"""What the commands that run servers check before they start anything, and the programs that they start."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from run_qarnot.commands import servers
from run_qarnot.commands.servers import DemoProgram
from run_qarnot.core.errors import InputError, SessionError
from run_qarnot.core.messages import Message


def program(folder: Path, text: str) -> DemoProgram:
    (folder / "program.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    return DemoProgram(Message("part.cluster"), ["program"], environment)


def test_a_program_tells_its_lines_and_ends_with_the_block(tmp_path: Path) -> None:
    with program(tmp_path, "import sys\nprint('ready', flush=True)\nsys.stdin.read()") as running:
        assert running.read_line() == "ready\n"
        running.check()
    assert running._process.returncode is not None


def test_a_program_that_ended_is_an_error(tmp_path: Path) -> None:
    with program(tmp_path, "") as running:
        with pytest.raises(SessionError) as caught:
            running.read_line()
        assert caught.value.code == "part-ended"
        running._process.wait()
        with pytest.raises(SessionError):
            running.check()


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError) as caught:
        servers._check_port(taken.getsockname()[1])
    assert caught.value.code == "port-taken"
    servers._check_port(None)


def test_the_folder_of_a_cluster_is_private(tmp_path: Path) -> None:
    servers._check_folder(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        servers._check_folder(tmp_path / "file")
