"""The sockets on which our server listens, and their address."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tornado.netutil

from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.messages import Message

FIRST_PORT = 8866
_PORTS_TRIED = 100
_LOOPBACK = ("127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared, not bound
_LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103


@dataclass(frozen=True)
class Listener:
    """Sockets that accept connections.

    Arguments:
        host: as in an address; for a Unix socket in nginx's form: `unix:/path:`.
        port: None for a Unix socket.
        ips: the bound addresses.
    """

    sockets: list[socket.socket]
    host: str
    port: int | None
    ips: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address of the server's root, without the slash at its end."""
        return f"http://{self.host}" if self.port is None else f"http://{self.host}:{self.port}"


def listen(ip: str, port: int | None) -> Listener:
    """Listen on a TCP port.

    Arguments:
        ip: an address of this machine, or its name. `localhost` binds two addresses: with 127.0.0.1 alone, another user
            of the machine could bind ::1, which browsers try first.
        port: None for the first one from 8866 on that is free on all addresses.

    Raises:
        InputError: the port is taken, or the address cannot be bound.
    """
    ips = _addresses(ip)
    for candidate in range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED) if port is None else [port]:
        try:
            sockets = _bind(ips, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InputError("listen", address=f"{ip}:{candidate}", problem=reason_of(error)) from error
        else:
            return Listener(sockets, _host(ip, ips), candidate, ips)
    raise InputError("port-taken", port=port if port is not None else FIRST_PORT)


@contextlib.contextmanager
def listening_on_unix_socket(path: Path) -> Iterator[Listener]:
    """Listen on a Unix socket that only this user can connect to; it is removed at the end.

    Raises:
        InputError: another server listens there, or the socket cannot be made.
    """
    path = path.expanduser().absolute()
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        raise InputError("listen", address=path, problem=Message("socket-path-long"))
    _remove_abandoned(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        before = os.umask(0o177)  # private as soon as it exists
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise InputError("listen", address=path, problem=reason_of(error)) from error
    made = path.stat()
    try:
        yield Listener([listener], f"unix:{path}:", None)
    finally:
        listener.close()
        with contextlib.suppress(OSError):
            if path.stat().st_ino == made.st_ino:  # otherwise another server has replaced it
                path.unlink()


def _remove_abandoned(path: Path) -> None:
    """Remove the socket of a server that was killed."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError("listen", address=path, problem=reason_of(error)) from error
        else:
            raise InputError("listen", address=path, problem=Message("socket-taken"))


def _addresses(ip: str) -> tuple[str, ...]:
    if ip == "localhost":
        return _LOOPBACK if _has_ipv6() else _LOOPBACK[:1]
    try:
        found = socket.getaddrinfo(ip, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError("listen", address=ip, problem=reason_of(error)) from error
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def _bind(ips: tuple[str, ...], port: int) -> list[socket.socket]:
    """Bind all addresses, or none."""
    sockets: list[socket.socket] = []
    try:
        for ip in ips:
            sockets += tornado.netutil.bind_sockets(port, ip)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


def _host(ip: str, ips: tuple[str, ...]) -> str:
    if ip in _EVERYWHERE:
        return socket.gethostname()
    if ip == "localhost" and len(ips) == 1:  # no IPv6 here: `localhost` would also mean ::1
        return ips[0]
    return f"[{ip}]" if ":" in ip else ip
