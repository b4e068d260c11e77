"""A task's record: its definition, its state, what a GET answers (`reference/qarnot-platform.md` §2.3-2.4bis)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from qarnot_local.runtime.definition import Bucket, TaskDefinition
from qarnot_local.runtime.output import Output
from qarnot_local.runtime.record import Record
from qarnot_local.wire import View, date, now

SUBMITTED = "Submitted"
PARTLY_DISPATCHED = "PartiallyDispatched"
DISPATCHED = "FullyDispatched"
PARTLY_EXECUTING = "PartiallyExecuting"
EXECUTING = "FullyExecuting"
UPLOADING = "UploadingResults"
SUCCESS = "Success"
FAILURE = "Failure"
CANCELLING = "PendingCancel"
CANCELLED = "Cancelled"
DELETING = "PendingDelete"
MAX_INSTANCES = 2048
FINAL = frozenset({SUCCESS, FAILURE, CANCELLED})
_KeptOutput = Annotated[Output, PlainValidator(Output.of), PlainSerializer(Output.texts)]


@dataclass(frozen=True)
class OpenForward:
    """A port of the task that can be reached from outside (§2.4, activeForwards)."""

    application_port: int
    host: str
    port: int


@dataclass(frozen=True)
class TaskError:
    """Why a task or an instance failed. The code is opaque to clients, the message is for people (§2.3)."""

    code: str
    message: str
    debug: str = ""

    def answer(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class SnapshotConfig:
    """Where a snapshot goes, and which files. A filter that is None is the task's own."""

    bucket: str
    prefix: str
    whitelist: str | None = None
    blacklist: str | None = None


@dataclass
class Snapshot:
    """A snapshot that was asked for; sizes in bytes."""

    id: str
    task: str
    config: SnapshotConfig
    triggered: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)
    status: str = "Triggered"
    size: int = 0
    transferred: int = 0

    def answer(self) -> View:
        """The snapshot as a GET answers it."""
        return {
            "id": self.id,
            "taskUuid": self.task,
            "triggerDate": date(self.triggered),
            "lastUpdateDate": date(self.updated),
            "status": self.status,
            "snapshotConfig": {
                "whitelist": self.config.whitelist,
                "blacklist": self.config.blacklist,
                "bucket": self.config.bucket,
                "bucketPrefix": self.config.prefix,
            },
            "sizeToUpload": self.size,
            "transferredSize": self.transferred,
        }


@dataclass
class Instance:
    """One instance of a task: a machine of its own at each attempt (§2.4, perRunningInstanceInfo)."""

    number: int
    attempt: int = 1
    phase: str = ""  # "" while it waits for a machine and once it is over
    is_listed: bool = False  # among the running ones
    dispatched: datetime | None = None
    transferred: datetime | None = None
    started: datetime | None = None  # of this attempt, as are the two above
    stopped: datetime | None = None
    earlier_seconds: float = 0  # execution of the attempts before this one
    forwards: list[OpenForward] = field(default_factory=list)
    state: str | None = None  # Success, Failure or Cancelled once it is over
    error: TaskError | None = None
    results: set[str] = field(default_factory=set)
    ended: datetime | None = None

    @property
    def has_started(self) -> bool:
        return self.started is not None or self.attempt > 1

    @property
    def execution_seconds(self) -> float:
        """How long its processes have run; at least one second once it is over (§0.8: clients divide by it)."""
        elapsed = self.earlier_seconds
        if self.started:
            elapsed += ((self.stopped or now()) - self.started).total_seconds()
        return max(1.0, elapsed) if self.stopped or self.ended else elapsed

    def leave_machine(self) -> None:
        """The next attempt begins with nothing."""
        self.earlier_seconds = self.execution_seconds
        self.attempt += 1
        self.dispatched = self.transferred = self.started = self.stopped = None
        self.forwards = []
        self.phase = "dispatch"


@dataclass
class Task(Record):
    """One task. `definition` holds what the client may set."""

    definition: TaskDefinition
    defaults: dict[str, str] = field(default_factory=dict)  # the constants of the profile and of the pool
    pool_resources: list[Bucket] = field(default_factory=list)
    state: str = field(default=SUBMITTED, kw_only=True)
    admitted: datetime | None = None  # left the queue
    ended: datetime | None = None
    instances: list[Instance] = field(default_factory=list)
    retries: dict[str, int] = field(default_factory=dict)  # by number of the instance
    errors: list[TaskError] = field(default_factory=list)
    results: set[str] = field(default_factory=set)
    snapshot_interval: int = 0
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    stdout: _KeptOutput = field(default_factory=Output)
    stderr: _KeptOutput = field(default_factory=Output)

    @property
    def shortname(self) -> str:
        return self.definition.shortname or self.uuid

    @property
    def profile(self) -> str:
        return self.definition.profile or ""

    @property
    def job(self) -> str | None:
        return self.definition.job_uuid

    @property
    def instance_numbers(self) -> list[int]:
        """Those of `advancedRanges`, else 0 to `instanceCount` - 1."""
        ranges = self.definition.advanced_ranges
        return ranges_of(ranges) if ranges else list(range(self.definition.instance_count))

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def constants(self) -> dict[str, str]:
        """The profile's, overridden by the pool's, overridden by the client's."""
        return self.defaults | self.definition.constant_values

    @property
    def resources(self) -> list[Bucket]:
        """The buckets that are brought; of two objects for one place, the last one wins (§3.3)."""
        return [*self.pool_resources, *self.definition.buckets]

    @property
    def started(self) -> bool:
        return any(instance.has_started for instance in self.instances)

    @property
    def execution_seconds(self) -> float:
        """Of all instances together."""
        return sum(instance.execution_seconds for instance in self.instances)

    @property
    def wall_seconds(self) -> float:
        return ((self.ended or now()) - self.created).total_seconds()

    def fail(self, code: str, message: str, debug: str = "") -> TaskError:
        """Note an error."""
        self.errors.append(TaskError(code, message, debug))
        return self.errors[-1]


def ranges_of(text: str) -> list[int]:
    """The numbers that `0-2,4-5,17` names, each once; none when it cannot be read."""
    numbers: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            return []
        first, last = int(found[1]), int(found[2] or found[1])
        if last - first >= MAX_INSTANCES:
            return []
        numbers.extend(range(first, last + 1))
    return sorted(set(numbers))


def range_text(numbers: Iterable[int]) -> str:
    """The other way round: `0-2,5`."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
