"""A task's record: its definition, its state, what a GET answers (`reference/qarnot-platform.md` §2.3-2.4bis)."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from run_qarnot.cluster.output import Output
from run_qarnot.cluster.wire import now

SUBMITTED = "Submitted"
DISPATCHED = "FullyDispatched"
EXECUTING = "FullyExecuting"
UPLOADING = "UploadingResults"
SUCCESS = "Success"
FAILURE = "Failure"
CANCELLING = "PendingCancel"
CANCELLED = "Cancelled"
DELETING = "PendingDelete"
FINAL = frozenset({SUCCESS, FAILURE, CANCELLED})


@dataclass(frozen=True)
class Forward:
    """A port of the task that can be reached from outside (§2.4, activeForwards)."""

    application_port: int
    host: str
    port: int


@dataclass
class Task:
    """One task. `definition` holds what the client may set, in the spelling of the wire, with defaults filled in."""

    definition: dict[str, Any]
    defaults: dict[str, str] = field(default_factory=dict)  # the profile's constants
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    created: datetime = field(default_factory=now)
    state: str = SUBMITTED
    previous_state: str | None = None
    changed: datetime = field(default_factory=now)
    previously_changed: datetime | None = None
    modified: datetime = field(default_factory=now)
    phase: str = "download"
    attempt: int = 1
    dispatched: datetime | None = None
    transferred: datetime | None = None
    started: datetime | None = None
    stopped: datetime | None = None
    ended: datetime | None = None
    forwards: list[Forward] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    results: set[str] = field(default_factory=set)
    snapshot_interval: int = 0
    snapshots: dict[str, dict[str, Any]] = field(default_factory=dict)
    stdout: Output = field(default_factory=Output)
    stderr: Output = field(default_factory=Output)

    @property
    def shortname(self) -> str:
        return self.definition.get("shortname") or self.uuid

    @property
    def profile(self) -> str:
        return self.definition.get("profile") or ""

    @property
    def job(self) -> str | None:
        return self.definition.get("jobUuid")

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def constants(self) -> dict[str, str]:
        """The profile's, overridden by the client's."""
        given = {constant["key"]: constant["value"] for constant in self.definition["constants"]}
        return self.defaults | given

    @property
    def execution_seconds(self) -> float:
        """How long its processes have run; at least one second once they ended (§0.8: clients divide by it)."""
        if self.started is None:
            return 0
        elapsed = ((self.stopped or now()) - self.started).total_seconds()
        return max(1.0, elapsed) if self.stopped else elapsed

    @property
    def wall_seconds(self) -> float:
        return ((self.ended or now()) - self.created).total_seconds()

    def move(self, state: str) -> None:
        """Go to the next state, remembering the one before."""
        self.previous_state, self.state = self.state, state
        self.previously_changed, self.changed = self.changed, now()
        self.touch()

    def touch(self) -> None:
        self.modified = now()

    def fail(self, code: str, message: str, debug: str = "") -> None:
        """Note an error. Code is opaque to clients, the message is for people (§2.3)."""
        self.errors.append({"code": code, "message": message, "debug": debug})
