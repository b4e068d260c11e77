"""The ways into a session: a pure function of facts."""

import shlex
from dataclasses import replace

from run_qarnot.model.connections import ConnectionKind, Forward, Place, Reach, connections

REACH = Reach(
    name="calm-heron-42",
    app_title="JupyterLab",
    app_port=8888,
    open_path="/lab",
    app_token="abc",
    ssh_user="root",
    forwards=(Forward(22, "gateway.example", 41022),),
    session_key_accepted=True,
    user_key_accepted=True,
)


def kinds(reach, place=Place()):  # noqa: B008  frozen
    return [connection.kind for connection in connections(reach, place)]


def test_there_is_no_door_without_a_forward():
    assert kinds(replace(REACH, forwards=())) == []


def test_the_best_comes_first():
    gateway = Forward(8888, "7c2b-0-8888.gateway.example", 443)
    reach = replace(REACH, forwards=(*REACH.forwards, gateway))
    assert kinds(reach) == [ConnectionKind.HTTPS, ConnectionKind.TUNNEL, ConnectionKind.VSCODE, ConnectionKind.SSH]
    assert connections(reach, Place())[0].url == "https://7c2b-0-8888.gateway.example/lab?token=abc"


def test_the_users_doors_need_the_users_key_and_the_tunnel_needs_ours():
    assert kinds(replace(REACH, user_key_accepted=False)) == [ConnectionKind.TUNNEL]
    assert kinds(replace(REACH, session_key_accepted=False)) == [ConnectionKind.VSCODE, ConnectionKind.SSH]


def test_the_tunnel_has_an_address_only_while_it_is_open():
    assert connections(REACH, Place())[0].url is None
    connection = connections(REACH, Place(tunnel_port=8890))[0]
    assert connection.url == "http://127.0.0.1:8890/lab?token=abc"
    assert connection.command == "run-qarnot open calm-heron-42"


def test_the_ssh_command_is_one_line_that_leaves_the_known_hosts_alone():
    connection = connections(REACH, Place(local_port=8889, identity="/home/a b/key"))[-1]
    assert "\n" not in connection.command
    words = shlex.split(connection.command)
    assert words[0] == "ssh"
    assert words[words.index("-L") + 1] == "8889:localhost:8888"
    assert words[words.index("-p") + 1] == "41022"
    assert words[words.index("-i") + 1] == "/home/a b/key"
    assert "UserKnownHostsFile=/dev/null" in words
    assert words[-1] == "root@gateway.example"
    assert connection.url == "http://127.0.0.1:8889/lab?token=abc"


def test_a_plain_machine_has_a_shell_and_nothing_to_open():
    reach = replace(REACH, app_port=None)
    assert kinds(reach) == [ConnectionKind.VSCODE, ConnectionKind.SSH]
    ssh = connections(reach, Place())[-1]
    assert ssh.url is None
    assert "-L" not in ssh.command
    assert "-N" not in shlex.split(ssh.command)


def test_what_comes_from_outside_cannot_leave_its_place_in_the_command():
    connection = connections(replace(REACH, forwards=(Forward(22, "h; rm -rf ~", 1),)), Place())[-1]
    assert shlex.split(connection.command)[-1] == "root@h; rm -rf ~"
