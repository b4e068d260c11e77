"""Ports of this machine, of which tests beside this one take some too."""

from __future__ import annotations

import contextlib
import socket

from support.waiting import wait_until


def free_port() -> int:
    """A port that nobody has now. Who may choose takes such a one, and leaves the usual ones to tests about them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def take_port(own: socket.socket, port: int) -> None:
    """Bind to a port that a test beside this one may have for a moment."""

    def binds() -> bool:
        with contextlib.suppress(OSError):
            own.bind(("127.0.0.1", port))
            return True
        return False

    wait_until(binds, f"port {port} to be free", 60)
