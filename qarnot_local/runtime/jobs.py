"""A job's record: a group of tasks with a common end (`reference/qarnot-platform.md` §2bis)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from qarnot_local.runtime.definition import JobDefinition
from qarnot_local.runtime.record import Record
from qarnot_local.wire import seconds

ACTIVE = "Active"
TERMINATING = "Terminating"
COMPLETED = "Completed"


@dataclass
class Job(Record):
    """One job."""

    definition: JobDefinition
    state: str = field(default=ACTIVE, kw_only=True)

    @property
    def shortname(self) -> str:
        return self.definition.shortname or self.uuid

    @property
    def ends(self) -> datetime | None:
        """When `maxWallTime` ("maximum real living time of the job") is over; None without a limit."""
        limit = seconds(self.definition.max_wall_time)
        return self.created + timedelta(seconds=limit) if limit else None
