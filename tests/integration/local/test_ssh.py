"""What a visitor can do in a task by SSH, with OpenSSH's own programs.

Served by qarnot_local.ssh.server qarnot_local.ssh.sftp qarnot_local.ssh.shells qarnot_local.runtime.task_ports .
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from qarnot.connection import Connection
from support.ports import free_port
from support.ssh import agent, make_key
from support.tasks import connect, ended, forward, program, running, ssh
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def door(cluster: LocalCluster, keys_folder: Path) -> Iterator[Any]:
    """Port 22 of a task in whose folder there are two links: one to its own folder, one to this machine's `/etc`."""
    script = (
        "mkdir in; echo in > in/file; ln -s in own; ln -s /etc out; ln -s /etc/passwd leak; mkfifo pipe; echo started"
    )
    task = visited(connect(cluster), keys_folder, f"sh -c '{script}; sleep 60'")
    yield forward(task)
    task.abort()
    ended(task)


def visit(door: Any, keys_folder: Path, command: str, *flags: str) -> subprocess.CompletedProcess[str]:
    line = ssh(door, keys_folder / "own", command, *flags)
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)


def test_job_is_where_commands_expect_it(door: Any, keys_folder: Path) -> None:
    assert visit(door, keys_folder, "cat /job/in/file").stdout == "in\n"
    assert visit(door, keys_folder, "cd /tmp; ls -d '/job/in/'").returncode == 0


def test_who_offers_too_many_keys_is_sent_away_as_by_openssh(door: Any, keys_folder: Path, tmp_path: Path) -> None:
    others = [make_key(tmp_path, f"key{number}").with_suffix("") for number in range(6)]

    def with_agent(*keys: Path) -> subprocess.CompletedProcess[str]:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        flags = [word for option in options for word in ("-o", option)]
        address = ["-p", str(door.forwarder_port), f"root@{door.forwarder_host}"]
        with agent(*keys) as socket:
            line = ["ssh", "-F", "none", *flags, "-o", f"IdentityAgent={socket}", *address, "true"]
            return subprocess.run(line, capture_output=True, text=True, check=False, timeout=20)

    assert with_agent(*others[:5], keys_folder / "own").returncode == 0
    refused = with_agent(*others, keys_folder / "own")
    assert refused.returncode == 255
    assert "Too many authentication failures" in refused.stderr


def sftp(door: Any, keys_folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """OpenSSH's own client, fed with commands; it ends at the first that fails."""
    own = ["-P" if word == "-p" else word for word in ssh(door, keys_folder / "own")[1:]]
    words = ["sftp", "-b", "-", *own]
    return subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("flags", [[], ["-O"]], ids=["sftp", "old"])
@pytest.mark.parametrize("place", ["/job/{}", "{}", "own/{}"])
def test_files_are_copied_there_and_back(
    door: Any, keys_folder: Path, tmp_path: Path, place: str, flags: list[str]
) -> None:
    there = place.format(f"copy{len(flags)}")
    (tmp_path / "sent").write_bytes(content := os.urandom(300_000))
    *options, port, address = ("-P" if word == "-p" else word for word in ssh(door, keys_folder / "own")[1:])
    words = ["scp", *flags, *options, port]
    subprocess.run([*words, tmp_path / "sent", f"{address}:{there}"], check=True, timeout=20)
    subprocess.run([*words, f"{address}:{there}", tmp_path / "back"], check=True, timeout=20)
    assert (tmp_path / "back").read_bytes() == content


def test_a_folder_is_listed_changed_and_left_in_order(door: Any, keys_folder: Path, tmp_path: Path) -> None:
    done = sftp(
        door, keys_folder, "pwd", "mkdir new", "rename new newer", "symlink in/file new-link", "ls -l", "rm leak"
    )
    assert done.returncode == 0, done.stderr
    assert "Remote working directory: /job" in done.stdout
    assert {"in", "leak", "newer", "new-link", "out", "own", "pipe"} <= {
        line.split()[-1] for line in done.stdout.splitlines()
    }
    assert sftp(door, keys_folder, f"get new-link {tmp_path}/back", "symlink /etc/passwd leak").returncode == 1
    assert (tmp_path / "back").read_text() == "in\n"
    assert visit(door, keys_folder, "ln -s /etc/passwd leak").returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "get leak {}",
        "get out/passwd {}",
        "get ../../../../../../etc/passwd {}",
        "get /etc/passwd {}",
        "get /job/../etc/passwd {}",
        "get pipe {}",
        "ls out/passwd",
        "put {} out/x",
        "put {} /tmp/x",
        "rename in/file /tmp/x",
        "cd out",
    ],
)
def test_there_is_no_way_out_of_the_job_folder(door: Any, keys_folder: Path, tmp_path: Path, command: str) -> None:
    target = tmp_path / "file"
    if command.startswith("put"):
        target.write_text("sent")
    assert sftp(door, keys_folder, command.format(shlex.quote(str(target)))).returncode == 1
    assert not target.exists() or target.read_text() in {"", "sent"}


# A shell that ends at once hangs up before `nohup` or `setsid` have become what they start.
LEFT = "> /dev/null 2>&1 & until grep -q ^sleep /proc/$!/cmdline; do :; done; echo $!; "
BACKGROUND = f"nohup sleep 77 {LEFT} setsid sleep 78 {LEFT} exit 3"


@pytest.mark.parametrize("flags", [(), ("-tt",)], ids=["no terminal", "terminal"])
def test_what_is_left_in_the_background_lives_until_the_task_ends(
    connection: Connection, keys_folder: Path, flags: tuple[str, ...]
) -> None:
    task = visited(connection, keys_folder, "sh -c 'echo started; sleep 600'")
    door, port = forward(task), free_port()
    done = visit(door, keys_folder, BACKGROUND, *flags)
    assert done.returncode == 3
    pids = [int(word) for word in done.stdout.split()]
    server = SERVER.format(ip="127.0.0.1", port=port, whose="background").replace("started", "")
    visit(door, keys_folder, f"nohup {server} > /dev/null 2>&1 &")
    wait_until(lambda: asked_through(door, keys_folder, port) == "background", "the server can be reached")
    assert all(map(psutil.pid_exists, pids))
    task.abort()
    assert ended(task) == "Cancelled"
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), "all have ended", 10)


def test_a_forward_ends_when_the_server_has_hung_up_before_the_visitor(
    connection: Connection, keys_folder: Path
) -> None:
    port = free_port()
    task = visited(connection, keys_folder, SERVER.format(ip="127.0.0.1", port=port, whose="hung up"))
    line = ssh(forward(task), keys_folder / "own", None, "-W", f"localhost:{port}")
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write(b"GET /whose HTTP/1.0\r\n\r\n")
        client.stdin.flush()
        assert client.stdout.read().endswith(b"hung up")
        client.stdin.close()
        try:
            assert client.wait(10) == 0
        finally:
            client.kill()
    task.abort()


def test_what_is_left_in_the_background_ends_with_a_cluster_that_is_killed(keys_folder: Path) -> None:
    with program() as cluster:
        task = visited(connect(cluster), keys_folder, "sh -c 'echo started; sleep 600'")
        pids = [int(word) for word in visit(forward(task), keys_folder, BACKGROUND).stdout.split()]
        assert len(pids) == 2
        assert all(map(psutil.pid_exists, pids))
        cluster.process.kill()
        cluster.process.wait()
        wait_until(lambda: not any(map(psutil.pid_exists, pids)), "all have ended", 10)


@pytest.mark.parametrize("flags", [(), ("-tt",)], ids=["no terminal", "terminal"])
def test_a_command_ends_with_the_client_that_goes_away(door: Any, keys_folder: Path, flags: tuple[str, ...]) -> None:
    line = ssh(door, keys_folder / "own", "echo $$; exec sleep 79", *flags)
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdout
        pid = int(client.stdout.readline())
        assert psutil.pid_exists(pid)
        client.kill()
    wait_until(lambda: not psutil.pid_exists(pid), "it has ended", 10)
