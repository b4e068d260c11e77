"""A job's record: a group of tasks with a common end (`reference/qarnot-platform.md` §2bis)."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from qarnot_local.runtime.definition import JobDefinition
from qarnot_local.wire import now, seconds

ACTIVE = "Active"
TERMINATING = "Terminating"
COMPLETED = "Completed"


@dataclass
class Job:
    """One job."""

    definition: JobDefinition
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    created: datetime = field(default_factory=now)
    state: str = ACTIVE
    previous_state: str | None = None
    changed: datetime = field(default_factory=now)
    previously_changed: datetime | None = None
    modified: datetime = field(default_factory=now)

    @property
    def shortname(self) -> str:
        return self.definition.shortname or self.uuid

    @property
    def ends(self) -> datetime | None:
        """When `maxWallTime` ("maximum real living time of the job") is over; None without a limit."""
        limit = seconds(self.definition.max_wall_time)
        return self.created + timedelta(seconds=limit) if limit else None

    def move(self, state: str) -> None:
        self.previous_state, self.state = self.state, state
        self.previously_changed, self.changed = self.changed, now()
        self.modified = now()
