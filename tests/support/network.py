"""A network that lets nothing out but to the ports that are named: a firewall, without changing that of the computer.

A program runs in a network namespace of Linux, whose loopback device is its own: nobody listens there but what it
starts itself. What is let through comes over Unix sockets, which know no network. Programs are entered from outside
by a Unix socket, too.

python -m support.network FOLDER PORT[,PORT…] PROGRAM ARGUMENT…        inside the namespace
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.command import CommandLine
from support.proxied import LOOPBACK, a_loop
from support.repository import ROOT

_CHUNK = 1 << 16
_SET_FLAGS, _UP = 0x8914, 0x41  # SIOCSIFFLAGS; IFF_UP and IFF_RUNNING (linux/sockios.h, net/if.h)


@dataclass(frozen=True)
class Confined(CommandLine):
    """A command line whose programs that stay reach `ports` of this computer, and nothing else."""

    ports: Sequence[int] = field(default=())
    sockets: Path = Path()

    def command(self, *arguments: object) -> list[str]:
        inside = super().command(*arguments)
        root = [] if os.geteuid() == 0 else ["--map-root-user"]
        let_through = ",".join(map(str, self.ports))
        return [
            "unshare", "--net", *root, sys.executable, "-m", "support.network", str(self.sockets), let_through, *inside,
        ]  # fmt: skip


@contextlib.contextmanager
def confined(cli: CommandLine, ports: Sequence[int], folder: Path) -> Iterator[Confined]:
    """Let through to some ports of this computer for the block.

    Arguments:
        cli: says where programs run, and with which environment.
        ports: that they may reach.
        folder: for sockets; its path is short.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with a_loop() as loop:
        servers = [loop.run(asyncio.start_unix_server(_to_port(port), folder / f"{port}.sock")) for port in ports]
        try:
            yield Confined(cli.folder, {**cli.environment, "PYTHONPATH": path}, cli.python, ports, folder)
        finally:
            for server in servers:
                loop.loop.call_soon_threadsafe(server.close)


def _to_port(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await _join(reader, writer, *await asyncio.open_connection(LOOPBACK, port))

    return welcome


def _to_socket(path: Path) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await _join(reader, writer, *await asyncio.open_unix_connection(path))

    return welcome


async def _join(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    other_reader: asyncio.StreamReader,
    other_writer: asyncio.StreamWriter,
) -> None:
    with contextlib.closing(other_writer):
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _switch_on_loopback() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP))


async def _serve_inside(folder: Path, ports: Sequence[int], parent: int) -> None:
    for port in ports:
        await asyncio.start_server(_to_socket(folder / f"{port}.sock"), LOOPBACK, port)
    while os.getppid() == parent:  # the program; another one once it has ended
        await asyncio.sleep(0.2)


def main(folder: Path, ports: Sequence[int], program: list[str]) -> None:
    """Become a program; a child of it passes on what goes to the ports."""
    _switch_on_loopback()
    parent = os.getpid()
    if os.fork():
        os.execvp(program[0], program)
    os.close(1)  # who waits for the end of what the program prints does not wait for us
    os.close(2)
    asyncio.run(_serve_inside(folder, ports, parent))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(port) for port in sys.argv[2].split(",")], sys.argv[3:])
