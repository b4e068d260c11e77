"""What a visitor can do in a task by SSH, with OpenSSH's own programs."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from qarnot.connection import Connection

from tests.cluster.conftest import ended, forward, running, ssh

SERVER = """python3 -c '
import http.server, socket, sys
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6 if ":" in "{ip}" else socket.AF_INET
server = Server(("{ip}", {port}), http.server.SimpleHTTPRequestHandler)
open("whose", "w").write("{whose}")
print("started", flush=True)
server.serve_forever()'"""


def visited(connection: Connection, keys_folder: Path, script: str, profile: str = "docker-network-ssh") -> Any:
    """A task that runs a script and lets visitors in, submitted."""
    task = connection.create_task("visited", profile, 1)
    task.constants["DOCKER_CMD"] = script
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.submit()
    running(task)
    return task


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked_through(door: Any, keys_folder: Path, port: int) -> str:
    """What a server at `localhost` says of whose it is, through the task's port 22."""
    line = ssh(door, keys_folder / "own", None, "-W", f"localhost:{port}")
    question = "GET /whose HTTP/1.0\r\n\r\n"
    done = subprocess.run(line, input=question, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout.rpartition("\n")[2]


def test_a_forward_leads_to_the_tasks_own_server_not_to_one_of_the_same_port(
    connection: Connection, keys_folder: Path
) -> None:
    port = free_port()
    tasks = {
        ip: visited(connection, keys_folder, SERVER.format(ip=ip, port=port, whose=f"at {ip}"))
        for ip in ("127.0.0.1", "127.0.0.3", "::1")
    }
    answers = {ip: asked_through(forward(task), keys_folder, port) for ip, task in tasks.items()}
    assert answers == {"127.0.0.1": "at 127.0.0.1", "127.0.0.3": "", "::1": "at ::1"}
    for task in tasks.values():
        task.abort()
    assert {ended(task) for task in tasks.values()} == {"Cancelled"}
