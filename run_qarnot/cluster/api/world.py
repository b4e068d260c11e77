"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from run_qarnot.cluster.api.views import task_view
from run_qarnot.cluster.control import Control
from run_qarnot.cluster.faults import Faults
from run_qarnot.cluster.machine import machine
from run_qarnot.cluster.manager import Manager
from run_qarnot.cluster.secrets_store import Secrets
from run_qarnot.cluster.tasks import Task

PROJECT = "3a8f6d1e-0b52-4c1d-9a57-2f6f5f0c7d11"
_EUROS_PER_CORE_HOUR = 0.02  # invented, so that figures are there to be shown


@dataclass(frozen=True)
class World:
    manager: Manager
    secrets: Secrets
    faults: Faults
    control: Control
    token: str
    email: str
    storage_url: str
    projects: frozenset[str] = field(default=frozenset({PROJECT}))

    def view(self, task: Task) -> dict[str, Any]:
        """A task as a GET answers it."""
        return task_view(task, self.manager.tasks.find)

    def credits_left(self) -> float:
        return self.manager.quotas.credits - euros(self.manager.execution_seconds())


def euros(seconds: float) -> float:
    return seconds / 3600 * machine().cores * _EUROS_PER_CORE_HOUR
