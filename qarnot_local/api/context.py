"""The objects that the routes use."""

from __future__ import annotations

from dataclasses import dataclass, field

from qarnot_local.api.views import task_view
from qarnot_local.control.control import Control
from qarnot_local.control.faults import Faults
from qarnot_local.runtime.machine import machine
from qarnot_local.runtime.manager import Manager
from qarnot_local.runtime.secrets_store import Secrets
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire import View

PROJECT = "3a8f6d1e-0b52-4c1d-9a57-2f6f5f0c7d11"
_EUROS_PER_CORE_HOUR = 0.02  # an invented price


@dataclass(frozen=True)
class Context:
    manager: Manager
    secrets: Secrets
    faults: Faults
    control: Control
    token: str
    email: str
    storage_url: str
    projects: frozenset[str] = field(default=frozenset({PROJECT}))

    def view(self, task: Task) -> View:
        """A task as a GET answers it."""
        return task_view(task, self.manager.tasks.find)

    def credits_left(self) -> float:
        return self.manager.quotas.credits - euros(self.manager.execution_seconds())


def euros(seconds: float) -> float:
    return seconds / 3600 * machine().cores * _EUROS_PER_CORE_HOUR
