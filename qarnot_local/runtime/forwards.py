"""Forwards of one instance (§2.4, activeForwards): port 22 by SSH, other ports by network rules."""

from __future__ import annotations

from collections.abc import Iterable

from qarnot_local.runtime.network_rules import NetworkRule, PortProxy
from qarnot_local.runtime.task_ports import HERE, TaskPorts
from qarnot_local.runtime.tasks import OpenForward
from qarnot_local.ssh.server import Gate

_SSH_PORT = 22


class Forwards:
    """Opened when an instance executes, closed when it ends. Without a gate, SSH is not forwarded."""

    def __init__(self, gate: Gate | None, own: TaskPorts, rules: Iterable[NetworkRule] = ()) -> None:
        self._gate = gate
        self._entrances = {rule.port: PortProxy(rule.port, own) for rule in rules}
        if gate:
            self._entrances.pop(_SSH_PORT, None)

    async def open(self, keys: list[str]) -> list[OpenForward]:
        forwards = [OpenForward(_SSH_PORT, HERE, await self._gate.open(keys))] if self._gate else []
        return forwards + [OpenForward(port, HERE, await each.open()) for port, each in self._entrances.items()]

    async def close(self) -> None:
        for entrance in self._entrances.values():
            await entrance.close()
        if self._gate:
            await self._gate.close()
