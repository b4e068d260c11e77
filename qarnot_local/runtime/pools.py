"""A pool's record: machines kept for tasks (`reference/qarnot-platform.md` §2bis). Here it reserves nothing."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime

from qarnot_local.runtime.definition import PoolDefinition
from qarnot_local.runtime.tasks import OpenForward
from qarnot_local.wire import now

EXECUTING = "FullyExecuting"
CLOSING = "Closing"
CLOSED = "Closed"


@dataclass
class Pool:
    """One pool. Its machines are this computer, so it is ready at once."""

    definition: PoolDefinition
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    created: datetime = field(default_factory=now)
    state: str = EXECUTING
    previous_state: str | None = "Submitted"
    changed: datetime = field(default_factory=now)
    previously_changed: datetime | None = None
    modified: datetime = field(default_factory=now)
    ended: datetime | None = None
    forwards: list[OpenForward] = field(default_factory=list)  # of its first machine

    @property
    def shortname(self) -> str:
        return self.definition.shortname or self.uuid

    @property
    def is_open(self) -> bool:
        return self.state == EXECUTING

    def move(self, state: str) -> None:
        self.previous_state, self.state = self.state, state
        self.previously_changed, self.changed = self.changed, now()
        self.modified = now()
        if state == CLOSED:
            self.ended = now()
