"""`forcedNetworkRules` (`reference/qarnot-platform.md` §2.2): each inbound TCP rule opens a port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from qarnot_local.runtime.definition import GivenRule
from qarnot_local.runtime.task_ports import HERE, TaskPorts

_CHUNK = 1 << 16


@dataclass(frozen=True)
class NetworkRule:
    """An inbound rule; `given` is the rule as the client sent it."""

    name: str
    port: int
    given: GivenRule


def inbound(rules: Iterable[GivenRule]) -> list[NetworkRule]:
    """Return the inbound rules, one for each port. UDP is not forwarded."""
    ports = {}
    for rule in rules:
        port = rule.port or ""
        if rule.inbound and (rule.proto or "").casefold() != "udp" and port.isdecimal():
            ports[int(port)] = NetworkRule(rule.name or port, int(port), rule)
    return list(ports.values())


class PortProxy:
    """Accepts TCP connections on 127.0.0.1 and forwards them to one port of a task."""

    def __init__(self, port: int, own: TaskPorts) -> None:
        self._port = port
        self._own = own
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._begin, HERE, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for visit in list(self._visits):
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.create_task(self._visit(reader, writer))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if address := await self._own.find(self._port):
                own_reader, own_writer = await asyncio.open_connection(*address)
                with contextlib.closing(own_writer):
                    await asyncio.gather(_copy(reader, own_writer), _copy(own_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
