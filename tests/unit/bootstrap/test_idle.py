"""What counts as use of a run: real processes and connections of this machine, and a server that answers as Jupyter."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from run_qarnot.bootstrap import idle
from run_qarnot.bootstrap.idle import Judge, Jupyter, Load, Told, is_logged_in, processes, seconds_of

BASE = "/rq-0123456789ab/"
WAITS = "import sys; sys.stdin.read()"
COMPUTES = "while True: pass"
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(idle.MARK, BASE)


@contextlib.contextmanager
def process(code: str = WAITS, mark: str = BASE, **variables: str) -> Iterator[int]:
    """A process with these variables, for the block; it has begun."""
    environment = {"PATH": os.environ["PATH"], idle.MARK: mark, **variables}
    command = [sys.executable, "-c", f"print(flush=True); {code}" if code == WAITS else f"print(flush=True)\n{code}"]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            yield running.pid
        finally:
            running.kill()


@contextlib.contextmanager
def connection() -> Iterator[tuple[int, int]]:
    """A connection that stands for the block: the ports of the server and of the client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0]:
            yield port, client.getsockname()[1]


def login(server: int, client: int) -> dict[str, str]:
    return {"SSH_CONNECTION": f"127.0.0.1 {client} 127.0.0.1 {server}"}


# — processes —


def test_only_the_processes_of_this_session_count_on_a_machine_with_others() -> None:
    with process() as ours, process(mark="/rq-ba9876543210/") as of_another, process(mark="") as stranger:
        found = processes()
        assert ours in found
        assert not {of_another, stranger} & set(found)


def test_a_login_counts_for_as_long_as_its_connection_stands() -> None:
    with connection() as (server, client), process(**login(server, client)):
        assert is_logged_in(processes())
        with process(mark="/rq-ba9876543210/", **login(server, client)):
            assert is_logged_in(processes())
    with process(**login(server, client)):  # left in the background by somebody who went
        assert not is_logged_in(processes())
    with connection(), process():  # a connection alone, such as that of a tunnel
        assert not is_logged_in(processes())


def test_files_that_come_and_go_by_ssh_are_no_login(tmp_path: Path) -> None:
    """The dashboard asks so since when nobody uses it: that must not be the use."""
    program = tmp_path / "sftp-server"
    program.write_text("#!/bin/sh\nread -r line\n")
    program.chmod(0o755)
    with connection() as (server, client):
        environment = {idle.MARK: BASE, "PATH": os.environ["PATH"], **login(server, client)}
        with subprocess.Popen([program], env=environment, stdin=subprocess.PIPE) as running:
            wait_until(lambda: idle.environment_of(running.pid).get(idle.MARK) == BASE, "the program")
            assert not is_logged_in(processes())


def test_a_process_that_computes_is_use_and_one_that_waits_is_none() -> None:
    with process():
        load = Load(set())
        time_passes()
        assert not load.is_high(processes())
        with process(COMPUTES, mark="/rq-ba9876543210/"):
            time_passes()
            assert not load.is_high(processes())
        with process(COMPUTES):
            wait_until(lambda: computes(load), "the load to be seen")
        time_passes()
        assert not load.is_high(processes())


def test_the_work_of_the_server_itself_is_no_use() -> None:
    with process(COMPUTES) as server:
        load = Load({server})
        time_passes()
        assert not load.is_high(processes())


def test_our_own_programs_are_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "OURS", tmp_path)
    (tmp_path / "packages.py").write_text(COMPUTES)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "packages.py").write_text(COMPUTES)
    load = Load(set())
    for place, is_ours in ((tmp_path, True), (elsewhere / "keep", True), (elsewhere, False)):
        command = [sys.executable, str(elsewhere / "packages.py"), "keep"]
        command = command if place.name == "keep" else [sys.executable, str(place / "packages.py")]
        with subprocess.Popen(command, env={idle.MARK: BASE}) as running:
            wait_until(lambda: idle.environment_of(running.pid).get(idle.MARK) == BASE, "the program")
            if is_ours:
                time_passes()
                assert not load.is_high(processes())
            else:
                wait_until(lambda: computes(load), "the load to be seen")
            running.kill()


def computes(load: Load) -> bool:
    time_passes()  # a busy machine may let others go first
    return load.is_high(processes())


def time_passes() -> None:
    """Some more time of a processor, for this process: measured, not waited for."""
    until = time.process_time() + 0.15
    while time.process_time() < until:
        pass


def test_without_proc_only_jupyter_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(idle, "PROC", tmp_path / "none")
    assert processes() == {}
    assert not Load(set()).is_high(processes())
    assert not is_logged_in({})


# — Jupyter —


@pytest.fixture
def answers() -> Iterator[dict[str, Any]]:
    """What a server answers, by path; it has no other, and wants the token."""
    told: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.headers["Authorization"] == "token right" and self.path in told
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(told[self.path]).encode() if found else b"")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told["port"] = server.server_port
        yield told
        server.shutdown()


def kernel(state: str, seconds_ago: float) -> Mapping[str, str]:
    time_of = datetime.fromtimestamp(NOW - seconds_ago, UTC).isoformat().replace("+00:00", "Z")
    return {"id": "1", "execution_state": state, "last_activity": time_of}


def test_a_kernel_that_is_busy_is_in_use_and_an_idle_one_was_when_it_last_did_something(
    answers: dict[str, Any], tmp_path: Path
) -> None:
    server = {"port": answers["port"], "base_url": BASE, "token": "right"}
    (tmp_path / "jpserver-7.json").write_text(json.dumps(server))
    jupyter = idle.find_jupyter(7, tmp_path)
    assert jupyter is not None
    assert jupyter.used_at(NOW) == 0
    answers[f"{BASE}api/kernels"] = [kernel("idle", 500), kernel("starting", 300)]
    assert jupyter.used_at(NOW) == NOW - 300
    answers[f"{BASE}api/terminals"] = [{"name": "1", "last_activity": kernel("", 20)["last_activity"]}]
    assert jupyter.used_at(NOW) == NOW - 20
    answers[f"{BASE}api/kernels"] = [kernel("idle", 500), kernel("busy", 400)]
    assert jupyter.used_at(NOW) == NOW


@pytest.mark.parametrize("told", ["{}", "[", '{"port": "x"}', '{"port": 1, "base_url": "/"}'])
def test_a_server_that_does_not_say_where_it_is_is_not_found(tmp_path: Path, told: str) -> None:
    (tmp_path / "nbserver-7.json").write_text(told)
    assert idle.find_jupyter(7, tmp_path) is None


@pytest.mark.parametrize("answer", [{"message": "no"}, [1, None], [{"last_activity": 7}], "x"])
def test_answers_that_make_no_sense_are_no_use(answers: dict[str, Any], answer: Any) -> None:
    answers["/api/kernels"] = answer
    assert Jupyter(f"http://127.0.0.1:{answers['port']}", "right").used_at(NOW) == 0
    assert Jupyter(f"http://127.0.0.1:{answers['port']}", "wrong").used_at(NOW) == 0
    assert Jupyter("http://127.0.0.1:1/", "right").used_at(NOW) == 0


def test_times_are_read_as_all_versions_write_them() -> None:
    texts = ("2027-01-15T08:00:00.000000Z", "2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", "2027-01-15T08:00:00")
    assert {seconds_of(text) for text in texts} == {NOW}
    assert seconds_of("yesterday") == 0


# — the judge —


def test_keeping_it_on_counts_as_use(tmp_path: Path) -> None:
    judge = Judge(60, tmp_path, lambda: None, Load(set()))
    judge.used -= 50
    assert 49 < judge.look() < 60
    (tmp_path / "keep-on").touch()
    assert judge.look() < 49


def test_the_file_says_since_when_and_is_written_only_when_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "idle.json"
    tell = Told(tmp_path, 60)
    tell(None)
    assert not file.exists(), "it was never idle: the results have no file of ours"
    tell(NOW)
    told = {"minutes": 60, "idle_since": "2027-01-15T08:00:00Z", "ended": None, "ends": []}
    assert json.loads(file.read_text()) == told
    file.write_text("seen")
    tell(NOW)
    assert file.read_text() == "seen"
    tell(None)
    assert json.loads(file.read_text())["idle_since"] is None
    file.write_text("of the run before")
    Told(tmp_path, 60)(None)
    assert json.loads(file.read_text())["idle_since"] is None


def test_when_earlier_runs_were_ended_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, texts = tmp_path / "idle.json", ["2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z", "2027-01-15T10:00:00Z"]
    for number, text in enumerate(texts):
        Told(tmp_path, 60)(NOW, NOW + 3600 * number)
        assert (json.loads(file.read_text())["ended"], idle.ends_in(file)) == (text, texts[: number + 1])
    monkeypatch.setattr(idle, "MOST_ENDS", 2)
    Told(tmp_path, 60)(None)
    assert json.loads(file.read_text())["ends"] == texts[1:]


@pytest.mark.parametrize("text", ["", "7", "[]", '{"ends": 7}', '{"ends": [7], "ended": 7}', '{"ended": null}'])
def test_whatever_an_earlier_run_left_it_goes_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "idle.json").write_text(text)
    Told(tmp_path, 60)(NOW)
    assert json.loads((tmp_path / "idle.json").read_text())["ends"] == []
