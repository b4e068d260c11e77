"""The ways into a session, worked out from facts: a pure function, tested by comparing values.

The best way comes first. Who can connect how (`design.md` §7): `https` when a forward has its own gateway host;
`tunnel` when this process can hold an SSH connection for the user; `vscode` and `ssh` always when there is a forward
and a key of the user's.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, urlencode

LOOPBACK = "127.0.0.1"  # never `localhost`: somebody else may hold that port of ::1
SSH_PORT = 22
_HTTPS_PORT = 443


class ConnectionKind(StrEnum):
    HTTPS = "https"
    TUNNEL = "tunnel"
    VSCODE = "vscode"
    SSH = "ssh"


@dataclass(frozen=True)
class Connection:
    """One way in: an address to open, a command to type, or both; and a sentence for people."""

    kind: ConnectionKind
    url: str | None = field(repr=False)  # the app's token is in it
    command: str | None
    note: str


@dataclass(frozen=True)
class Forward:
    """A port of the container that can be reached from outside (`reference/qarnot-platform.md` §2.4)."""

    app_port: int
    host: str
    port: int


@dataclass(frozen=True)
class Reach:
    """What is known of a session that matters for reaching it."""

    name: str
    app_title: str
    app_port: int | None  # inside the container; none for a plain machine
    open_path: str  # of the app's page, such as "/lab"
    app_token: str | None = field(repr=False)
    ssh_user: str
    forwards: tuple[Forward, ...]
    session_key_accepted: bool
    user_key_accepted: bool
    folder: str = "/job"

    @property
    def ssh(self) -> Forward | None:
        """The forward of the SSH port, if it is there."""
        return next((forward for forward in self.forwards if forward.app_port == SSH_PORT), None)


@dataclass(frozen=True)
class Place:
    """What is known of where this process runs."""

    tunnel_port: int | None = None  # of the tunnel that this process holds open
    local_port: int = 8888  # where the user's own ssh should listen
    identity: str | None = None  # file of the user's private key, when it is not where ssh looks by itself
    null_device: str = "/dev/null"  # "NUL" on Windows


def connections(reach: Reach, place: Place) -> tuple[Connection, ...]:
    """Return the ways in, the best first."""
    return tuple(_connections(reach, place))


def closed_tunnel(command: str | None, app_title: str) -> Connection:
    """Return the door of a tunnel that is yet to be opened, or will be closed when this process ends."""
    return Connection(ConnectionKind.TUNNEL, None, command, f"Opens {app_title} on this computer; no key needed.")


def app_url(base: str, reach: Reach) -> str:
    """Return the address of the app's page behind `base`, with the app's token."""
    query = f"?{urlencode({'token': reach.app_token})}" if reach.app_token else ""
    return f"{base}{quote(reach.open_path)}{query}"


def _connections(reach: Reach, place: Place) -> Iterable[Connection]:
    if (gateway := _gateway(reach)) is not None:
        yield Connection(
            ConnectionKind.HTTPS, app_url(f"https://{gateway.host}", reach), None, "Opens in your browser."
        )
    if (forward := reach.ssh) is None:
        return
    if reach.session_key_accepted and reach.app_port is not None:
        yield _tunnel_connection(reach, place)
    if reach.user_key_accepted:
        yield from (_vscode_connection(reach, forward), _ssh_connection(reach, forward, place))


def _gateway(reach: Reach) -> Forward | None:
    """A forward of the app's port with a host of its own: the gateway speaks HTTPS there (§3.5)."""
    return next(
        (forward for forward in reach.forwards if (forward.app_port, forward.port) == (reach.app_port, _HTTPS_PORT)),
        None,
    )


def _tunnel_connection(reach: Reach, place: Place) -> Connection:
    command = shlex.join(["run-qarnot", "open", reach.name])
    if place.tunnel_port is None:
        return closed_tunnel(command, reach.app_title)
    url = app_url(f"http://{LOOPBACK}:{place.tunnel_port}", reach)
    return Connection(ConnectionKind.TUNNEL, url, command, "Works while this program runs, on the computer it runs on.")


def _vscode_connection(reach: Reach, forward: Forward) -> Connection:
    url = f"vscode://vscode-remote/ssh-remote+{reach.ssh_user}@{forward.host}:{forward.port}{reach.folder}"
    return Connection(
        ConnectionKind.VSCODE, url, None, "Opens the session's folder in VS Code, with the Remote - SSH extension."
    )


def _ssh_connection(reach: Reach, forward: Forward, place: Place) -> Connection:
    """OpenSSH, with known hosts thrown away: host keys change with each machine (§3.4).

    `-L PORT:…` alone listens on 127.0.0.1 and ::1, and is content with one of them: if another user holds the port of
    127.0.0.1, that user gets what is opened there. `-4` makes it 127.0.0.1 or a failure.
    """
    identity = ["-i", place.identity, "-o", "IdentitiesOnly=yes"] if place.identity else []
    tunnel = []
    if reach.app_port is not None:
        tunnel = ["-N", "-L", f"{place.local_port}:localhost:{reach.app_port}", "-4"]
        tunnel += ["-o", "ExitOnForwardFailure=yes", "-o", "GatewayPorts=no"]
    command = [
        "ssh", *tunnel, "-a", "-x", *identity,
        "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={place.null_device}", "-o", "LogLevel=ERROR",
        "-o", "ServerAliveInterval=30",
        "-p", str(forward.port), f"{reach.ssh_user}@{forward.host}",
    ]  # fmt: skip
    url = app_url(f"http://{LOOPBACK}:{place.local_port}", reach) if reach.app_port is not None else None
    note = "Type the command in a terminal, leave it running, and open the address. Leave -N away for a shell."
    if url is None:
        note = "Type the command in a terminal."
    return Connection(ConnectionKind.SSH, url, shlex.join(command), note)
