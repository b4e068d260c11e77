"""A JupyterLab task, reached as a user reaches it: through OpenSSH, with a key.

It is started by qarnot_local.runtime.images.jupyterlab and runs qarnot_local.runtime.images.jupyterlab_program .
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from qarnot.connection import Connection
from support.tasks import command, ended, forward, keys, running, ssh
from support.waiting import wait_until

pytestmark = pytest.mark.slow


def lab(connection: Connection, keys_folder: Path, name: str, **constants: str) -> Any:
    task = connection.create_task(name, "jupyterlab", 1)
    task.constants["DOCKER_REPO"] = "qarnotlab/jupyterlab-base"
    task.constants["DOCKER_TAG"] = "v1"
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.constants.update(constants)
    task.results = connection.create_bucket(f"{name}-out")
    task.upload_results_on_cancellation = True
    return task


@contextmanager
def tunnel(door: Any, key: Path, port: int) -> Iterator[int]:
    """`ssh -L` to a port of the task; gives the local port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        local = probe.getsockname()[1]
    process = subprocess.Popen(ssh(door, key, None, "-N", "-L", f"{local}:localhost:{port}"), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or accepts(local), "ssh listens")
        yield local
    finally:
        process.kill()  # OpenSSH can miss a SIGTERM that comes just before it waits for its next packet
        process.wait()


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def link(task: Any) -> str | None:
    return next((line.split("> ")[1] for line in task.stdout().splitlines() if "/lab?token=" in line), None)


def make_wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """The smallest wheel that pip accepts."""
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{about}/METADATA": metadata,
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{about}/RECORD": record}.items():
            wheel.writestr(path, text)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index for pip that is a folder: `cowlike`, which needs `grasslike`."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "cowlike", "1.2", "grasslike")
    make_wheel(folder, "grasslike", "0.1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def test_a_lab_from_start_to_continued(connection: Connection, keys_folder: Path, wheels: Path) -> None:
    task = lab(connection, keys_folder, "cow", JUPYTER_TOKEN="chosen-by-us")
    task.submit()
    door = forward(task)
    with tunnel(door, keys_folder / "own", 8888) as port:
        wait_until(lambda: ask(port, "/api"), "JupyterLab answers")
        assert ask(port, "/api/contents?token=chosen-by-us")
        assert ask(port, "/api/contents?token=another") is None
        assert wait_until(lambda: link(task), "the link is printed") == "http://localhost:8888/lab?token=chosen-by-us"
        spec = ask(port, "/api/kernelspecs?token=chosen-by-us")["kernelspecs"]["python3"]
    task.instant()
    wait_until(lambda: "logs/qarnot.log" in keys(task.results), "the log is in the bucket")
    log = task.results.get_file("logs/qarnot.log")
    assert Path(log).read_text().count("http://localhost:8888/lab?token=chosen-by-us") == 2
    Path(log).unlink()

    # As `%pip install` does in a notebook: with the kernel's own python.
    python = spec["spec"]["argv"][0]
    install = ssh(door, keys_folder / "own", f"{python} -m pip install cowlike")
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wait_until(
        lambda: block(remote(door, keys_folder, "cat requirements.txt")) == ["cowlike==1.2"],
        "requirements.txt names what was asked for",
    )
    full = remote(door, keys_folder, "cat requirements-full.txt")
    assert {"cowlike==1.2", "grasslike==0.1"} <= set(full.split())
    assert "jupyterlab==" in full
    task.abort()
    assert ended(task) == "Cancelled"
    assert {"requirements.txt", "requirements-full.txt", "logs/qarnot.log"} <= keys(task.results)

    again = lab(connection, keys_folder, "cow-again")
    again.resources = [task.results]
    again.submit()
    wait_until(lambda: link(again), "the link is printed", 30)
    assert "1 package(s) came back" not in task.stdout()
    assert "2 package(s) came back" in again.stdout(), "and what it needs"
    door = forward(again)
    assert (
        remote(door, keys_folder, f"{python_of(again, door, keys_folder)} -c 'import cowlike; print(cowlike.version)'")
        == "1.2\n"
    )
    assert link(again) != link(task)
    again.abort()
    assert ended(again) == "Cancelled"
    assert "requirements.txt" in keys(again.results), "a third session can continue from the second"


def remote(door: Any, keys_folder: Path, words: str) -> str:
    return subprocess.run(ssh(door, keys_folder / "own", words), capture_output=True, text=True, check=False).stdout


def block(text: str) -> list[str]:
    """The lines between the marks at the end of `requirements.txt`."""
    lines = text.splitlines()
    marks = [number for number, line in enumerate(lines) if "run-qarnot" in line]
    return lines[marks[0] + 1 : marks[1]] if marks else []


def python_of(task: Any, door: Any, keys_folder: Path) -> str:
    return remote(door, keys_folder, "echo $HOME/environment/bin/python").strip()


def test_a_lab_takes_the_configuration_that_comes_with_its_inputs(connection: Connection, keys_folder: Path) -> None:
    base = "/rq-0123456789ab/"
    bucket = connection.create_bucket("with-configuration")
    bucket.add_string(json.dumps({"ServerApp": {"base_url": base}}), ".ours/jupyter_server_config.json")
    given = {"JUPYTER_CONFIG_PATH": "/job/.ours", "RUN_QARNOT_BASE_URL": base, "JUPYTER_TOKEN": "chosen-by-us"}
    task = lab(connection, keys_folder, "configured", **given)
    task.resources = [bucket]
    task.submit()
    shown = wait_until(lambda: link(task), "the link is printed", 60)
    assert shown == "http://localhost:8888/rq-0123456789ab/lab?token=chosen-by-us"
    with tunnel(forward(task), keys_folder / "own", 8888) as port:
        assert ask(port, "/rq-0123456789ab/api")
        assert ask(port, "/api") is None
    task.abort()
    ended(task)


def test_a_failed_restore_does_not_stop_the_lab_nor_lose_the_line(
    connection: Connection, keys_folder: Path, wheels: Path
) -> None:
    bucket = connection.create_bucket("wanted")
    text = "# mine\nnowhere-to-be-found==9\r\ncowlike \\"
    bucket.add_string(text, "requirements.txt")
    task = lab(connection, keys_folder, "partly")
    task.resources = [bucket]
    task.submit()
    wait_until(lambda: link(task), "the link is printed", 30)
    assert "nowhere-to-be-found==9 did not come back" in task.stdout()
    door = forward(task)
    python = python_of(task, door, keys_folder)
    assert remote(door, keys_folder, f"{python} -c 'import cowlike; print(cowlike.version)'") == "1.2\n"
    shown = ssh(door, keys_folder / "own", "cat requirements.txt")
    assert subprocess.run(shown, capture_output=True, check=True).stdout == text.encode(), "not a byte is changed"
    task.abort()
    ended(task)


def network_task(connection: Connection, keys_folder: Path, script: str) -> Any:
    task = connection.create_task("net", "docker-network-ssh", 1)
    task.constants["DOCKER_CMD"] = script
    task.constants["DOCKER_SSH"] = "no key at all\n" + (keys_folder / "own.pub").read_text()
    task.submit()
    return task


def test_ssh_is_for_the_right_key_only(connection: Connection, keys_folder: Path) -> None:
    task = network_task(connection, keys_folder, "sh -c 'echo started; sleep 60'")
    door = forward(task)
    shell = subprocess.run(
        ssh(door, keys_folder / "own", "pwd; tr a-z A-Z; echo oops >&2; exit 3"),
        input="typed\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert shell.returncode == 3
    assert shell.stdout.endswith("/job\nTYPED\n")
    assert shell.stderr == "oops\n"
    refused = subprocess.run(ssh(door, keys_folder / "other", "true"), capture_output=True, text=True, check=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr
    terminal = subprocess.run(
        ssh(door, keys_folder / "own", "tty; stty size", "-tt"), capture_output=True, text=True, check=False
    )
    assert terminal.stdout.startswith("/dev/")
    task.abort()
    assert ended(task) == "Cancelled"
    wait_until(lambda: not accepts(door.forwarder_port), "the listener is closed")


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'"foreign"')

    def log_message(self, *_: object) -> None:
        pass


def test_forwarding_reaches_the_tasks_own_ports_only(connection: Connection, keys_folder: Path) -> None:
    server = 'import http.server as h; s = h.HTTPServer(("127.0.0.1", 0), h.SimpleHTTPRequestHandler); '
    server += 'open("data.json", "w").write("42"); print("started", s.server_port, flush=True); s.serve_forever()'
    task = network_task(connection, keys_folder, f"python3 -c '{server}'")
    running(task)
    own = int(task.stdout().split("started ")[1].split()[0])
    door = forward(task)
    foreign = HTTPServer(("127.0.0.1", 0), _Hello)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    try:
        with tunnel(door, keys_folder / "own", own) as port:
            assert ask(port, "/data.json") == 42
        with tunnel(door, keys_folder / "own", foreign.server_port) as port:
            assert ask(foreign.server_port, "/") == "foreign"
            assert ask(port, "/") is None
    finally:
        foreign.shutdown()
        foreign.server_close()
    task.abort()
    ended(task)


def test_a_command_that_starts_sshd_is_played_not_run(connection: Connection, keys_folder: Path) -> None:
    """The documented command would write this user's own authorized_keys."""
    script = 'sh -c "mkdir -p touched && echo $DOCKER_SSH > touched/authorized_keys && /usr/sbin/sshd -D"'
    task = network_task(connection, keys_folder, script)
    assert remote(forward(task), keys_folder, "ls; echo here") == "here\n"
    task.abort()
    ended(task)


def test_batch_profiles_have_no_forward(connection: Connection) -> None:
    task = command(connection, "echo started; sleep 60")
    task.submit()
    running(task)
    task.update(True)
    assert task.status.running_instances_info.per_running_instance_info[0].active_forward == []
    task.abort()
    ended(task)
