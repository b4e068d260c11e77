"""What the records of tasks, jobs and pools have in common."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime

from qarnot_local.wire import now


@dataclass(kw_only=True)
class Record:
    """An id, and a state with the one before it."""

    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    created: datetime = field(default_factory=now)
    state: str = ""
    previous_state: str | None = None
    changed: datetime = field(default_factory=now)
    previously_changed: datetime | None = None
    modified: datetime = field(default_factory=now)

    def move(self, state: str) -> None:
        """Go to the next state, and keep the previous one."""
        self.previous_state, self.state = self.state, state
        self.previously_changed, self.changed = self.changed, now()
        self.touch()

    def touch(self) -> None:
        """Note that the record has changed."""
        self.modified = now()
