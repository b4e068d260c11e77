"""The connections to a session, computed from facts by a pure function.

The best one comes first (`design.md` §7): `https` when a forward has its own gateway host; `page` when the visitor's
browser is on another computer and the page's server can forward its requests, which needs outgoing SSH; `tunnel` when
this process can hold an SSH connection for the user; `vscode` and `ssh` when there is a forward and the user has a
key. `expected_connection` predicts the connection before the start.
"""

from __future__ import annotations

import re
import shlex
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import quote, urlencode

from run_qarnot.core.messages import Message, Title
from run_qarnot.core.names import is_name

LOOPBACK = "127.0.0.1"  # never `localhost`: another user may listen on the same port of ::1
KNOWN_HOSTS_COMMAND = "KnownHostsCommand"  # an option of OpenSSH
SSH_PORT = 22
FOLDER = "/job"  # on a machine: inputs are copied to it, and its content is saved
HTTPS_PORT = 443
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|(?=.*:)[0-9A-Fa-f:.]{2,45}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Below the ephemeral ports, which systems assign to outgoing connections.
_TUNNEL_PORTS = range(10000, 20000)
_LAUNCHER_PORTS = range(20000, 30000)


def is_host(text: str) -> bool:
    """Whether this is the name or the address of a host, without characters that are special to a shell."""
    return _HOST.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """Whether this can be a user name for SSH, without characters that are special to a shell."""
    return _USER.fullmatch(text) is not None


class ConnectionKind(StrEnum):
    HTTPS = "https"
    PAGE = "page"
    TUNNEL = "tunnel"
    VSCODE = "vscode"
    SSH = "ssh"


class Mount(StrEnum):
    """How a proxy can serve an app below a path of its own address.

    PREFIX: the app is configured with a base URL, which its links contain. STRIP: it has no base URL, but its links
    are relative, so that the proxy can strip the path. NONE: it works only at the root of an address.
    """

    PREFIX = "prefix"
    STRIP = "strip"
    NONE = "none"


@dataclass(frozen=True)
class PortLink:
    """A further port of the app's machine, such as that of a dashboard, reached through Jupyter's own proxy."""

    port: int
    title: str
    path: str = "/"

    @property
    def proxied_path(self) -> str:
        """The path of its page below the base URL of JupyterLab."""
        return f"/proxy/{self.port}{self.path}"


@dataclass(frozen=True)
class Link:
    """A page beside that of the app."""

    title: str
    url: str | None = field(repr=False)  # the app's token is in it; None where a click makes it (`page.proxied`)


@dataclass(frozen=True)
class Connection:
    """One connection: an address to open, a command to run, or both; and a note for people."""

    kind: ConnectionKind
    url: str | None = field(repr=False)  # the app's token is in it
    command: str | None
    note: Message
    links: tuple[Link, ...] = ()  # further pages of the app, through the same connection


@dataclass(frozen=True)
class Forward:
    """A port of the container that can be reached from outside (`reference/qarnot-platform.md` §2.4)."""

    app_port: int
    host: str
    port: int

    @property
    def is_valid(self) -> bool:
        """Whether host and port have the right form. They come from the cluster and become part of commands."""
        return is_host(self.host) and 0 < self.port < 65536


@dataclass(frozen=True)
class Reach:
    """The facts about a session from which its connections are computed."""

    id: str  # of the session
    name: str
    app_title: Title
    app_port: int | None  # inside the container; none for a plain machine
    open_path: str  # of the app's page, such as "/lab"
    app_token: str | None = field(repr=False)
    ssh_user: str
    forwards: tuple[Forward, ...]
    session_key_accepted: bool
    user_key_accepted: bool
    host_key: str | None = None  # the machine's public key as a line; None until it was seen
    fingerprints: tuple[str, ...] = ()  # of its host keys, `SHA256:…`, as far as they are known
    folder: str = FOLDER
    mount: Mount = Mount.NONE
    base_path: str = "/"  # under which the app answers, such as "/rq-0123456789ab/"
    ports: tuple[PortLink, ...] = ()

    @property
    def ssh(self) -> Forward | None:
        """The forward of the SSH port, if it is there."""
        if not is_user(self.ssh_user):
            return None
        return next((forward for forward in self.forwards if forward.app_port == SSH_PORT and forward.is_valid), None)


@dataclass(frozen=True)
class Place:
    """The facts about this process and its computer."""

    tunnel_port: int | None = None  # of the tunnel that this process holds open
    local_port: int = 8888  # where the user's own ssh should listen
    identity: str | None = None  # file of the user's private key, when it is not where ssh looks by itself
    null_device: str = "/dev/null"  # "NUL" on Windows
    through_page: bool = False  # the visitor's browser is on another computer: the page's server forwards requests
    ssh_fails: bool = False  # the last SSH connection to the machine failed


@dataclass(frozen=True)
class TunnelSpec:
    """What a launcher on the visitor's computer needs to open the tunnel and the app behind it."""

    name: str  # of the session
    user: str
    host: str
    port: int
    app_port: int
    local_port: int
    url: str = field(repr=False)
    private_key: str | None = field(repr=False)  # the session's own; None to log in with the user's, as ssh finds it
    host_key: str | None
    fingerprints: tuple[str, ...]


def tunnel_port(session_id: str) -> int:
    """Return the preferred local port of a session's tunnel: the same in each run, so that an open tab reconnects."""
    return _port_of(session_id, _TUNNEL_PORTS)


def _port_of(session_id: str, ports: range) -> int:
    return ports[zlib.crc32(session_id.encode()) % len(ports)]


def tunnel_spec(reach: Reach, private_key: str) -> TunnelSpec | None:
    """Return what a launcher needs; None without an app to open, a forward, or an accepted key.

    The port on the visitor's computer depends on the session alone, so that two launchers do not conflict with each
    other or with a Jupyter on its default port.

    Arguments:
        private_key: the session's own.
    """
    forward, has_key = reach.ssh, reach.session_key_accepted or reach.user_key_accepted
    if forward is None or reach.app_port is None or not has_key:
        return None
    local_port = _port_of(reach.id, _LAUNCHER_PORTS)
    return TunnelSpec(
        name=reach.name,
        user=reach.ssh_user,
        host=forward.host,
        port=forward.port,
        app_port=reach.app_port,
        local_port=local_port,
        url=app_url(f"http://{LOOPBACK}:{local_port}", reach),
        private_key=private_key if reach.session_key_accepted else None,
        host_key=reach.host_key,
        fingerprints=reach.fingerprints,
    )


def connections(reach: Reach, place: Place) -> tuple[Connection, ...]:
    """Return the connections, the best first."""
    return tuple(_connections(reach, place))


def closed_tunnel(command: str | None, app_title: Title) -> Connection:
    """Return the connection of a tunnel that is not open yet, or closes when this process ends."""
    return Connection(ConnectionKind.TUNNEL, None, command, Message("connection.tunnel-closed", app=app_title))


def app_url(base: str, reach: Reach) -> str:
    """Return the address of the app's page behind `base` (such as `http://127.0.0.1:8888`), with the app's token."""
    return _page_url(base, reach, reach.open_path)


def port_links(base: str, reach: Reach) -> tuple[Link, ...]:
    """Return the addresses of the app's further ports behind `base`, with the app's token."""
    return tuple(Link(each.title, _page_url(base, reach, each.proxied_path)) for each in reach.ports)


def _page_url(base: str, reach: Reach, path: str) -> str:
    query = f"?{urlencode({'token': reach.app_token})}" if reach.app_token else ""
    return f"{base}{quote(reach.base_path.rstrip('/') + path)}{query}"


def _connections(reach: Reach, place: Place) -> Iterable[Connection]:
    if (gateway := _gateway(reach)) is not None:
        base, note = f"https://{gateway.host}", Message("connection.https")
        yield Connection(ConnectionKind.HTTPS, app_url(base, reach), None, note, port_links(base, reach))
    if (forward := reach.ssh) is None:
        return
    if reach.session_key_accepted and reach.app_port is not None:
        if place.through_page and not place.ssh_fails and reach.mount is not Mount.NONE:
            # Its address is made at each click (`page.proxied`) and works once.
            links = tuple(Link(each.title, None) for each in reach.ports)
            yield Connection(ConnectionKind.PAGE, None, None, Message("connection.page"), links)
        yield _tunnel_connection(reach, replace(place, tunnel_port=None) if place.through_page else place)
    if reach.user_key_accepted:
        yield from (_vscode_connection(reach, forward), _ssh_connection(reach, forward, place))


def _gateway(reach: Reach) -> Forward | None:
    """A forward of the app's port with a host of its own: the gateway speaks HTTPS there (§3.5)."""
    return next(
        (
            forward
            for forward in reach.forwards
            if (forward.app_port, forward.port) == (reach.app_port, HTTPS_PORT) and forward.is_valid
        ),
        None,
    )


def _tunnel_connection(reach: Reach, place: Place) -> Connection:
    command = shlex.join(["run-qarnot", "open", reach.name if is_name(reach.name) else reach.id])
    if place.tunnel_port is None:
        return closed_tunnel(command, reach.app_title)
    base, note = f"http://{LOOPBACK}:{place.tunnel_port}", Message("connection.tunnel")
    return Connection(ConnectionKind.TUNNEL, app_url(base, reach), command, note, port_links(base, reach))


def _vscode_connection(reach: Reach, forward: Forward) -> Connection:
    url = f"vscode://vscode-remote/ssh-remote+{reach.ssh_user}@{forward.host}:{forward.port}{reach.folder}"
    return Connection(ConnectionKind.VSCODE, url, None, Message("connection.vscode"))


def _ssh_connection(reach: Reach, forward: Forward, place: Place) -> Connection:
    """OpenSSH, without its file of known hosts: host keys change with each machine (§3.4).

    `-L PORT:…` alone listens on 127.0.0.1 and ::1 and succeeds with one of them: if another user listens on
    127.0.0.1, that user receives what is opened there. With `-4` it listens on 127.0.0.1 or fails.
    """
    identity = ["-i", place.identity, "-o", "IdentitiesOnly=yes"] if place.identity else []
    tunnel = []
    if reach.app_port is not None:
        tunnel = ["-N", "-L", f"{place.local_port}:localhost:{reach.app_port}", "-4"]
        tunnel += ["-o", "ExitOnForwardFailure=yes", "-o", "GatewayPorts=no"]
    command = [
        "ssh", *tunnel, "-a", "-x", *identity,
        *_host_key_options(reach, forward), "-o", f"UserKnownHostsFile={place.null_device}", "-o", "LogLevel=ERROR",
        "-o", "ServerAliveInterval=30",
        "-p", str(forward.port), f"{reach.ssh_user}@{forward.host}",
    ]  # fmt: skip
    base = f"http://{LOOPBACK}:{place.local_port}"
    url, links = (app_url(base, reach), port_links(base, reach)) if reach.app_port is not None else (None, ())
    note = Message("connection.ssh") if url is None else Message("connection.ssh-app")
    if reach.fingerprints:
        note = Message("connection.host-key", note=note, fingerprints=reach.fingerprints)
    return Connection(ConnectionKind.SSH, url, shlex.join(command), note, links)


def _host_key_options(reach: Reach, forward: Forward) -> list[str]:
    """What holds OpenSSH to the machine's host key, as far as it is known.

    `KnownHostsCommand` prints the line that a file of known hosts would have. OpenSSH before 8.5 does not know it and
    asks, as it does where only a fingerprint is known; that stands beside the command.
    """
    if not reach.host_key and not reach.fingerprints:
        return ["-o", "StrictHostKeyChecking=no"]
    asking = ["-o", "StrictHostKeyChecking=ask"]
    if not reach.host_key:
        return asking
    host = forward.host if forward.port == SSH_PORT else f"[{forward.host}]:{forward.port}"
    known = f"{KNOWN_HOSTS_COMMAND}=/bin/echo {host} {reach.host_key}"
    return [*asking, "-o", f"IgnoreUnknown={KNOWN_HOSTS_COMMAND}", "-o", known]
