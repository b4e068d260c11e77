"""A pool's record: machines kept for tasks (`reference/qarnot-platform.md` §2bis). Here it reserves nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from qarnot_local.runtime.definition import PoolDefinition
from qarnot_local.runtime.record import Record
from qarnot_local.runtime.tasks import OpenForward
from qarnot_local.wire import now

EXECUTING = "FullyExecuting"
CLOSING = "Closing"
CLOSED = "Closed"


@dataclass
class Pool(Record):
    """One pool. Its machines are this computer, so it is ready at once."""

    definition: PoolDefinition
    state: str = field(default=EXECUTING, kw_only=True)
    previous_state: str | None = field(default="Submitted", kw_only=True)
    ended: datetime | None = None
    forwards: list[OpenForward] = field(default_factory=list)  # of its first machine

    @property
    def shortname(self) -> str:
        return self.definition.shortname or self.uuid

    @property
    def is_open(self) -> bool:
        return self.state == EXECUTING

    def move(self, state: str) -> None:
        super().move(state)
        if state == CLOSED:
            self.ended = now()
