"""How busy the machines of a session were in the last hour, from what the cluster says with each poll."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from run_qarnot.model.view import MachineUse

_MINUTES = 60  # that are kept
_IDLE_MINUTES = 15
_IDLE_PERCENT = 5.0
_FULL_PERCENT = 90.0
_MB_OF_A_GB = 1024


class UseHistory:
    """The use of each of the last 60 minutes: the highest that was seen, in percent of all machines together."""

    def __init__(self) -> None:
        self._cpu: dict[int, float] = {}  # by minute
        self._now: Sequence[MachineUse] = ()

    def add(self, now: datetime, machines: Sequence[MachineUse]) -> None:
        """Take in what the cluster says now."""
        self._now = machines
        cpu, minute = cpu_percent(machines), int(now.timestamp() // 60)
        if cpu is not None:
            self._cpu[minute] = max(cpu, self._cpu.get(minute, 0.0))
        self._cpu = {then: use for then, use in self._cpu.items() if then > minute - _MINUTES}

    def row(self) -> dict[str, Any] | None:
        """Return it for the browser; None if the cluster says nothing.

        `cores`, `memory_gb`, `cpu` and `memory` (both percent) are numbers or None; `history` is the processors' use by
        minute, the oldest first; `hint` is "memory-full", "idle" or empty.
        """
        machines = self._now
        if not machines:
            return None
        memory = memory_percent(machines)
        total = sum(machine.memory_mb or 0 for machine in machines)
        return {
            "count": len(machines),
            "cores": sum(machine.cores or 0 for machine in machines) or None,
            "memory_gb": round(total / _MB_OF_A_GB, 1) or None,
            "cpu": cpu_percent(machines),
            "memory": memory,
            "model": next((machine.cpu for machine in machines if machine.cpu), None),
            "specification": next((each.specification for each in machines if each.specification), None),
            "history": [round(use, 1) for _, use in sorted(self._cpu.items())],
            "hint": self._hint(memory),
        }

    def _hint(self, memory: float | None) -> str:
        if memory is not None and memory >= _FULL_PERCENT:
            return "memory-full"
        latest = sorted(self._cpu)[-_IDLE_MINUTES:]
        is_idle = len(latest) == _IDLE_MINUTES and all(self._cpu[minute] <= _IDLE_PERCENT for minute in latest)
        return "idle" if is_idle else ""


def cpu_percent(machines: Sequence[MachineUse]) -> float | None:
    """Return how busy the processors of all machines are, 0 to 100; None if the cluster does not say."""
    known = [(machine.cpu_percent, machine.cores or 1) for machine in machines if machine.cpu_percent is not None]
    return sum(percent * cores for percent, cores in known) / sum(cores for _, cores in known) if known else None


def memory_percent(machines: Sequence[MachineUse]) -> float | None:
    """Return how much of the memory is used on the machine that uses most of its own, 0 to 100."""
    shares = [
        100 * machine.memory_used_mb / machine.memory_mb
        for machine in machines
        if machine.memory_mb and machine.memory_used_mb is not None
    ]
    return min(max(shares), 100.0) if shares else None
