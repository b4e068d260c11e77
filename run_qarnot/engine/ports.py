"""Ports of this computer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from itertools import count

from run_qarnot.model.connections import LOOPBACK


def free_ports(first: int) -> Iterable[int]:
    """Yield free ports of this computer, starting at `first`."""
    return (port for port in count(first) if port < 65536 and is_free(port))


def is_free(port: int) -> bool:
    """Whether the port is free on all addresses: a program that listens on all of them would answer in our place."""
    for family, address in ((socket.AF_INET, LOOPBACK), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as probe:
            probe.settimeout(0.2)
            probe.connect((address, port))
            return False
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
