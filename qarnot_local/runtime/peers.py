"""The machines of a run on a cluster profile: an address for each, and the folder that they share (§3.3).

On Qarnot, `/share` is a fast directory of the nodes, and `/share/qhost` lists their addresses; its exact format is not
documented. Here it has one address a line, that of instance 0 first. Every attempt of an instance gets a new address.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
from pathlib import Path

from qarnot_local.runtime.task_ports import HERE

_HOSTS = "qhost"
_FOLDERS = 254 * 250


class Peers:
    """The machines of one run.

    Arguments:
        share: the folder that stands for `/share`.
    """

    def __init__(self, share: Path) -> None:
        self.share = share
        self._addresses: dict[int, str] = {}
        self._next = itertools.count(random.randrange(_FOLDERS))  # noqa: S311 - two clusters seldom meet

    def join(self, number: int) -> str:
        """Give an instance that starts an address of its own, and list it; returns the address."""
        self._addresses[number] = _address(next(self._next) % _FOLDERS)
        self._write()
        return self._addresses[number]

    def leave(self, number: int) -> None:
        """Take an instance off the list."""
        self._addresses.pop(number, None)
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # the run is over
            text = "".join(f"{address}\n" for _, address in sorted(self._addresses.items()))
            temporary = self.share / f".{_HOSTS}.new"
            temporary.write_text(text)
            temporary.replace(self.share / _HOSTS)


def _address(number: int) -> str:
    """One of 127.0.x.y. On systems that have only 127.0.0.1, such as macOS, all machines share it."""
    address = f"127.0.{1 + number // 250}.{1 + number % 250}"
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return HERE
    return address
