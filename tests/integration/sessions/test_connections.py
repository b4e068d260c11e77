"""From the user's machine to a session: the printed line with real OpenSSH, and what opens by itself."""

from __future__ import annotations

import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.browser import FakeBrowser
from support.command import CommandLine, read_line
from support.desk import Desk, at_a_desk, page_on
from support.ports import free_port, take_port
from support.ssh import agent, make_key, running
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.model.connections import ConnectionKind

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]
CATALOG = """
schema = 1
[defaults]
profile = "docker-network-ssh"
repo = "library/debian"
[images.page]
app = "web"
port = {port}
token_env = "TOKEN"
ssh_keys = "one"
command = "python3 -m http.server --bind 127.0.0.1 {port}"
"""


@pytest.fixture
def quick(cli: CommandLine) -> CommandLine:
    """An image that starts in a blink and takes one key; its address holds a token."""
    (cli.folder / "images.toml").write_text(CATALOG.format(port=free_port()))
    return cli


def launched(cli: CommandLine, key: Path) -> Any:
    """A session that is ready; returns its SSH door."""
    session = cli("launch", "page", "--name", "mine", "--ssh-key", key, "--json").json
    return next(connection for connection in session["connections"] if connection["kind"] == "ssh")


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=3).ok
    except requests.RequestException:
        return False


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The user's public key, whose other half is the last of eight that an agent holds; and that agent's socket."""
    public = make_key(tmp_path)
    others = [make_key(tmp_path, f"other{number}").with_suffix("") for number in range(7)]
    with agent(*others, public.with_suffix("")) as socket:
        yield public, socket


def test_the_printed_line_works_with_an_agent_full_of_keys(
    quick: CommandLine, keys: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    public, agent_socket = keys
    monkeypatch.setenv("SSH_AUTH_SOCK", agent_socket)
    connection = launched(quick, public)
    words = shlex.split(connection["command"])
    place = words.index("-i")
    assert words[place + 1] == str(public.with_suffix("").resolve())
    assert {"-a", "-x", "IdentitiesOnly=yes"} <= set(words)
    assert connection["url"].startswith("http://127.0.0.1:")
    with running(connection["command"]) as process:
        wait_until(lambda: answers(connection["url"]), "the page through the printed line")
        listeners = {c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"}
        assert listeners == {"127.0.0.1"}
    assert words[place + 2 : place + 4] == ["-o", "IdentitiesOnly=yes"]
    without = [*words[:place], *words[place + 4 :]]
    refused = subprocess.run(without, capture_output=True, text=True, timeout=20, check=False)
    assert "Too many authentication failures" in refused.stderr

    private = public.with_suffix("")
    private.rename(private.with_name("elsewhere"))  # the agent has it all the same
    with running(shlex.join([*words[: place + 1], str(public), *words[place + 2 :]])):
        wait_until(lambda: answers(connection["url"]), "the page through a line that names the public key")


def test_who_holds_the_port_gets_no_visitor_and_no_configuration_opens_it_to_others(
    quick: CommandLine, tmp_path: Path
) -> None:
    connection = launched(quick, make_key(tmp_path))
    (tmp_path / "config").write_text("Host *\n  GatewayPorts yes\n  ForwardAgent yes\n")
    command = connection["command"].replace("ssh ", f"ssh -F {tmp_path}/config ", 1)
    with running(command) as process:
        wait_until(lambda: answers(connection["url"]), "the page through the printed line")
        listeners = {c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"}
        assert listeners == {"127.0.0.1"}
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        take_port(stranger, int(connection["url"].partition("127.0.0.1:")[2].partition("/")[0]))
        stranger.listen()
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 255
    assert "cannot listen to port" in done.stderr


def test_the_printed_line_lets_no_other_machine_answer(quick: CommandLine, tmp_path: Path) -> None:
    """Real OpenSSH, without a terminal at which it could ask."""
    catalog = quick.folder / "images.toml"
    catalog.write_text(catalog.read_text().replace('"one"', '"many"'))
    words = shlex.split(launched(quick, make_key(tmp_path))["command"])

    def runs(line: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*line, "echo hello"], capture_output=True, text=True, timeout=20, check=False)

    (known,) = (index for index, word in enumerate(words) if word.startswith("KnownHostsCommand="))
    tunnel = words.index("-L")
    login = [word for place, word in enumerate(words) if place not in {words.index("-N"), tunnel, tunnel + 1}]
    assert runs(login).stdout == "hello\n"
    other = make_key(tmp_path, "other").read_text().split()[1]
    key = words[known].split()[-1]
    refused = runs([word.replace(key, other) for word in login])
    assert (refused.returncode, refused.stdout) == (255, "")
    assert "host key" in refused.stderr.lower()


def test_an_agent_full_of_other_keys_is_said_and_so_is_what_to_do(
    quick: CommandLine, keys: tuple[Path, str], tmp_path: Path
) -> None:
    public, agent_socket = keys
    launched(quick, public)
    with_agent = quick.with_environment(SSH_AUTH_SOCK=agent_socket)
    refused = with_agent("open", "mine", "--no-browser", expect=1).err
    assert "too many keys" in refused
    assert "`run-qarnot open mine --ssh-key FILE`" in refused
    opener = with_agent.start("open", "mine", "--no-browser", "--ssh-key", public)
    try:
        assert opener.stdout is not None
        address = read_line(opener.stdout).strip()
        wait_until(lambda: answers(address), "the page through the tunnel of `open`")
    finally:
        opener.terminate()
        opener.communicate(timeout=10)


@pytest.mark.parametrize("command", [("open", "mine"), ("launch", "page", "--name", "other", "--open")])
def test_the_browser_gets_the_address_and_the_list_of_processes_does_not(
    quick: CommandLine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "temporary").mkdir()
    if command[0] == "open":
        quick("launch", "page", "--name", "mine")
    fake = FakeBrowser(tmp_path)
    shown = quick.with_environment(BROWSER=str(fake.program), TMPDIR=str(tmp_path / "temporary"))
    opener = shown.start(*command)
    try:
        seen = fake.seen(60)
        assert opener.stdout is not None
        lines = iter(opener.stdout.readline, "")
        address = next(line.strip() for line in lines if line.strip().startswith("http://127.0.0.1:"))
        assert seen.target == address
        assert answers(address)
        token = address.partition("token=")[2]
        assert len(token) > 20
        assert not any(token in line for line in seen.commands)
        assert seen.modes == ["0o600", "0o700"]
    finally:
        opener.send_signal(2)
        opener.communicate(timeout=20)
    assert not list((tmp_path / "temporary").iterdir())


def test_the_view_that_says_ready_has_the_connections(calm: LocalCluster) -> None:
    """Whoever shows it would else say for a moment that there is nothing to open."""

    async def scenario(desk: Desk) -> None:
        async with desk.ready(page_on(free_port())):
            first = next(view for view in desk.heard if view.state is State.READY)
            assert [connection.kind for connection in first.connections] == [ConnectionKind.TUNNEL]
            assert first.connections[0].url

    at_a_desk(calm, scenario)
