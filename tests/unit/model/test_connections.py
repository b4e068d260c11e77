"""The ways into a session: a pure function of facts."""

import shlex
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from run_qarnot.core.messages import Message
from run_qarnot.model.connections import (
    Connection,
    ConnectionKind,
    Forward,
    Link,
    Mount,
    Place,
    PortLink,
    Reach,
    TunnelSpec,
    app_url,
    closed_tunnel,
    connections,
    tunnel_spec,
)

REACH = Reach(
    id="5c1e0a3e-5d2b-4f5c-9b0e-1f2f3a4b5c6d",
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


def kinds(reach: Reach, place: Place = Place()) -> list[ConnectionKind]:  # noqa: B008  frozen
    return [connection.kind for connection in connections(reach, place)]


def launched(reach: Reach) -> TunnelSpec:
    """What a launcher is told of a session that has one."""
    spec = tunnel_spec(reach, "the key")
    assert spec is not None
    return spec


def test_there_is_no_connection_without_a_forward() -> None:
    assert kinds(replace(REACH, forwards=())) == []


def test_the_best_comes_first() -> None:
    gateway = Forward(8888, "7c2b-0-8888.gateway.example", 443)
    reach = replace(REACH, forwards=(*REACH.forwards, gateway))
    assert kinds(reach) == [ConnectionKind.HTTPS, ConnectionKind.TUNNEL, ConnectionKind.VSCODE, ConnectionKind.SSH]
    assert connections(reach, Place())[0].url == "https://7c2b-0-8888.gateway.example/lab?token=abc"


def test_all_addresses_have_the_path_under_which_the_app_answers() -> None:
    gateway = Forward(8888, "7c2b-0-8888.gateway.example", 443)
    reach = replace(REACH, forwards=(*REACH.forwards, gateway), base_path="/rq-0123456789ab/")
    urls = [
        connection.url
        for connection in connections(reach, Place(tunnel_port=8890))
        if connection.kind is not ConnectionKind.VSCODE
    ]
    assert len(urls) == 3
    assert all(urlsplit(url).path == "/rq-0123456789ab/lab" for url in urls)


def test_the_users_connections_need_the_users_key_and_the_tunnel_needs_ours() -> None:
    assert kinds(replace(REACH, user_key_accepted=False)) == [ConnectionKind.TUNNEL]
    assert kinds(replace(REACH, session_key_accepted=False)) == [ConnectionKind.VSCODE, ConnectionKind.SSH]


def test_the_tunnel_has_an_address_only_while_it_is_open() -> None:
    assert connections(REACH, Place())[0].url is None
    connection = connections(REACH, Place(tunnel_port=8890))[0]
    assert connection.url == "http://127.0.0.1:8890/lab?token=abc"
    assert connection.command == "run-qarnot open calm-heron-42"


def test_the_page_is_offered_elsewhere_unless_ssh_fails_from_here() -> None:
    far = replace(REACH, mount=Mount.PREFIX)
    through_page = Place(through_page=True)
    assert kinds(far, through_page)[0] is ConnectionKind.PAGE
    rest = [ConnectionKind.TUNNEL, ConnectionKind.VSCODE, ConnectionKind.SSH]
    assert kinds(far, replace(through_page, ssh_fails=True)) == rest
    gateway = Forward(8888, "7c2b-0-8888.gateway.example", 443)
    far = replace(far, forwards=(*REACH.forwards, gateway))
    assert kinds(far, replace(through_page, ssh_fails=True))[0] is ConnectionKind.HTTPS


def test_the_ssh_command_is_one_line_that_leaves_the_known_hosts_alone() -> None:
    connection = connections(REACH, Place(local_port=8889, identity="/home/a b/key"))[-1]
    assert connection.command is not None
    assert "\n" not in connection.command
    words = shlex.split(connection.command)
    assert words[0] == "ssh"
    assert words[words.index("-L") + 1] == "8889:localhost:8888"
    assert words[words.index("-p") + 1] == "41022"
    assert words[words.index("-i") + 1] == "/home/a b/key"
    assert "UserKnownHostsFile=/dev/null" in words
    assert words[-1] == "root@gateway.example"
    assert connection.url == "http://127.0.0.1:8889/lab?token=abc"


def test_a_plain_machine_has_a_shell_and_nothing_to_open() -> None:
    reach = replace(REACH, app_port=None)
    assert kinds(reach) == [ConnectionKind.VSCODE, ConnectionKind.SSH]
    ssh = connections(reach, Place())[-1]
    assert ssh.url is None
    assert ssh.command is not None
    assert "-L" not in ssh.command
    assert "-N" not in shlex.split(ssh.command)


HOSTILE = ["h; rm -rf ~", "-oProxyCommand=x", "h\ntouch PWNED", "h%PATH%", "h&x", "$(x)", "", "h/x", "a..b\0", "::1'"]


@pytest.mark.parametrize("host", HOSTILE)
def test_what_is_no_host_is_in_no_connection(host: str) -> None:
    ways = Forward(22, host, 41022), Forward(8888, host, 443)
    assert kinds(replace(REACH, forwards=ways)) == []
    assert tunnel_spec(replace(REACH, forwards=ways), "key") is None


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_in_no_connection(port: int) -> None:
    assert kinds(replace(REACH, forwards=(Forward(22, "gateway.example", port),))) == []


@pytest.mark.parametrize("host", ["gateway.example", "127.0.0.1", "7c2b-0-8888.gateway.example", "::1", "fe80::1"])
def test_hosts_are_names_and_addresses(host: str) -> None:
    assert Forward(22, host, 41022).is_valid


def test_a_user_that_is_none_opens_nothing() -> None:
    assert kinds(replace(REACH, ssh_user="root; touch x")) == []


def test_a_task_whose_name_is_no_sessions_is_opened_by_its_id() -> None:
    connection = connections(replace(REACH, name="x\ntouch PWNED"), Place())[0]
    assert connection.command == f"run-qarnot open {REACH.id}"


def test_the_printed_line_listens_here_alone_and_lends_nothing_to_the_machine() -> None:
    words = shlex.split(connections(REACH, Place())[-1].command or "")
    assert {"-4", "-a", "-x", "GatewayPorts=no", "ExitOnForwardFailure=yes"} <= set(words)


def test_a_known_host_key_stands_beside_the_command() -> None:
    note = str(connections(replace(REACH, fingerprints=("SHA256:abc",)), Place())[-1].note)
    assert note.endswith("Without -N, you get a shell. The machine's host key: SHA256:abc")
    assert "host key" not in str(connections(REACH, Place())[-1].note)


def test_a_launcher_carries_the_sessions_key_where_the_machine_accepts_it_and_else_none() -> None:
    own = launched(REACH)
    assert (own.private_key, own.host, own.port, own.app_port) == ("the key", "gateway.example", 41022, 8888)
    assert own.url == f"http://127.0.0.1:{own.local_port}/lab?token=abc"
    assert launched(replace(REACH, session_key_accepted=False)).private_key is None
    assert tunnel_spec(replace(REACH, session_key_accepted=False, user_key_accepted=False), "the key") is None
    assert tunnel_spec(replace(REACH, app_port=None), "the key") is None
    assert tunnel_spec(replace(REACH, forwards=()), "the key") is None


def test_the_launchers_of_two_sessions_do_not_want_the_same_port() -> None:
    ports = {launched(replace(REACH, id=f"session {number}")).local_port for number in range(20)}
    assert len(ports) > 15
    assert launched(REACH).local_port == launched(REACH).local_port


def test_what_is_secret_is_in_no_repr() -> None:
    assert "the key" not in repr(tunnel_spec(REACH, "the key"))
    assert "abc" not in repr(tunnel_spec(REACH, "the key"))


def test_whoever_is_elsewhere_is_led_through_the_page_and_gets_no_address_of_this_computer() -> None:
    elsewhere = Place(tunnel_port=8890, through_page=True)
    ways = connections(replace(REACH, mount=Mount.PREFIX), elsewhere)
    assert [way.kind for way in ways] == [
        ConnectionKind.PAGE,
        ConnectionKind.TUNNEL,
        ConnectionKind.VSCODE,
        ConnectionKind.SSH,
    ]
    assert (ways[0].url, ways[0].command, ways[1].url) == (None, None, None)
    assert kinds(replace(REACH, mount=Mount.NONE), elsewhere)[0] is ConnectionKind.TUNNEL
    assert ConnectionKind.PAGE not in kinds(replace(REACH, mount=Mount.STRIP, session_key_accepted=False), elsewhere)
    assert ConnectionKind.PAGE not in kinds(replace(REACH, mount=Mount.PREFIX), Place(tunnel_port=8890))


def test_all_ways_in_as_they_are_shown() -> None:
    reach = replace(REACH, forwards=(*REACH.forwards, Forward(8888, "g.example", 443)), mount=Mount.PREFIX)
    vscode = "vscode://vscode-remote/ssh-remote+root@gateway.example:41022/job"
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ServerAliveInterval=30"
    assert connections(reach, Place(tunnel_port=8890, local_port=8889, identity="/k")) == (
        Connection(ConnectionKind.HTTPS, "https://g.example/lab?token=abc", None, Message("connection.https")),
        Connection(
            ConnectionKind.TUNNEL,
            "http://127.0.0.1:8890/lab?token=abc",
            "run-qarnot open calm-heron-42",
            Message("connection.tunnel"),
        ),
        Connection(
            ConnectionKind.VSCODE,
            vscode,
            None,
            Message("connection.vscode"),
        ),
        Connection(
            ConnectionKind.SSH,
            "http://127.0.0.1:8889/lab?token=abc",
            "ssh -N -L 8889:localhost:8888 -4 -o ExitOnForwardFailure=yes -o GatewayPorts=no -a -x -i /k "
            f"-o IdentitiesOnly=yes {options} -p 41022 root@gateway.example",
            Message("connection.ssh-app"),
        ),
    )
    page, tunnel, *_ = connections(replace(reach, forwards=REACH.forwards), Place(through_page=True))
    assert page == Connection(ConnectionKind.PAGE, None, None, Message("connection.page"))
    assert tunnel == closed_tunnel("run-qarnot open calm-heron-42", "JupyterLab")
    assert str(tunnel.note) == "Opens JupyterLab on this computer; no key needed."
    assert (tunnel.kind, tunnel.url) == (ConnectionKind.TUNNEL, None)
    assert connections(replace(REACH, app_port=None), Place())[-1] == Connection(
        ConnectionKind.SSH,
        None,
        f"ssh -a -x {options} -p 41022 root@gateway.example",
        Message("connection.ssh"),
    )


@pytest.mark.parametrize(
    ("port", "host_key", "fingerprints", "options"),
    [
        (41022, None, (), ["StrictHostKeyChecking=no"]),
        (41022, None, ("SHA256:abc",), ["StrictHostKeyChecking=ask"]),
        (
            41022,
            "ssh-ed25519 AAAA",
            ("SHA256:abc",),
            [
                "StrictHostKeyChecking=ask",
                "IgnoreUnknown=KnownHostsCommand",
                "KnownHostsCommand=/bin/echo [gateway.example]:41022 ssh-ed25519 AAAA",
            ],
        ),
        (
            22,
            "ssh-ed25519 AAAA",
            (),
            [
                "StrictHostKeyChecking=ask",
                "IgnoreUnknown=KnownHostsCommand",
                "KnownHostsCommand=/bin/echo gateway.example ssh-ed25519 AAAA",
            ],
        ),
    ],
)
def test_the_ssh_line_holds_to_what_is_known_of_the_host_key(
    port: int, host_key: str | None, fingerprints: tuple[str, ...], options: list[str]
) -> None:
    forwards = (Forward(22, "gateway.example", port),)
    reach = replace(REACH, forwards=forwards, host_key=host_key, fingerprints=fingerprints, user_key_accepted=True)
    words = shlex.split(connections(reach, Place())[-1].command or "")
    first = words.index(options[0])
    assert words[first : first + 2 * len(options) : 2] == options
    assert words[first + 2 * len(options)] == "UserKnownHostsFile=/dev/null"


def test_an_address_is_quoted_and_has_a_token_only_where_the_app_has_one() -> None:
    assert app_url("http://h", replace(REACH, app_token=None, base_path="/a b/")) == "http://h/a%20b/lab"
    assert app_url("http://h", replace(REACH, app_token="a&b")) == "http://h/lab?token=a%26b"


def test_the_gateway_is_that_of_the_apps_own_port() -> None:
    others = (Forward(8080, "g.example", 443), Forward(8888, "g.example", 444), Forward(8888, "h;x", 443))
    assert ConnectionKind.HTTPS not in kinds(replace(REACH, forwards=(*REACH.forwards, *others)))


def test_what_a_launcher_is_told() -> None:
    spec = launched(replace(REACH, host_key="ssh-ed25519 AAAA", fingerprints=("SHA256:abc",)))
    assert (spec.name, spec.user, spec.host_key) == ("calm-heron-42", "root", "ssh-ed25519 AAAA")
    assert spec.fingerprints == ("SHA256:abc",)
    assert 20_000 <= spec.local_port < 30_000


def test_further_ports_are_links_through_jupyters_proxy_by_each_way() -> None:
    reach = replace(REACH, base_path="/rq-0123456789ab/", ports=(PortLink(8787, "Dask", "/status"),))
    found = {each.kind: each.links for each in connections(reach, Place(tunnel_port=4000, local_port=5000))}
    path = "/rq-0123456789ab/proxy/8787/status?token=abc"
    assert found[ConnectionKind.TUNNEL] == (Link("Dask", f"http://127.0.0.1:4000{path}"),)
    assert found[ConnectionKind.SSH] == (Link("Dask", f"http://127.0.0.1:5000{path}"),)
    assert found[ConnectionKind.VSCODE] == ()
    assert "abc" not in repr(found[ConnectionKind.TUNNEL])
