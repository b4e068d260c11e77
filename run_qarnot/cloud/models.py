"""What the cluster says of a task, as frozen values; dictionaries stay at the wire.

Tolerant on purpose: a field that is missing or null becomes an empty value, never an exception
(`reference/qarnot-platform.md` §6.30).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from run_qarnot.core import times
from run_qarnot.model.connections import Forward
from run_qarnot.model.plan import SAVES_TAG, Label

_NO_DATE_YEAR = 1  # "0001-01-01T00:00:00Z" stands for "not yet"


@dataclass(frozen=True)
class TaskSnapshot:
    """One look at a task."""

    id: str
    name: str
    launch_id: str
    state: str  # the cluster's word
    attempt: int
    created: datetime | None
    ended: datetime | None
    started: datetime | None  # when the present state began
    executed: float  # seconds, of all instances
    until_started: float | None  # seconds from its creation until its machine ran; None where that cannot be told
    job: str | None
    labels: Mapping[str, str]
    constants: Mapping[str, str] = field(repr=False)  # the app's token, and secret options
    resources: tuple[str, ...]  # but for its own results, which are there for the case of a preemption
    results: str | None
    results_count: int
    snapshot_seconds: int | None  # between two saves; 0 for none, None where the cluster does not say
    wanted_snapshot_seconds: int  # what was asked for when it was submitted; 0 for none
    hardware: Mapping[str, str | int | bool]  # constraints, as a catalog names them
    scheduling: str  # as `spec.SCHEDULING` has it; empty where the cluster uses another word
    forwards: tuple[Forward, ...]
    error: str | None

    def label(self, label: Label) -> str:
        return self.labels.get(label.value, "")


@dataclass(frozen=True)
class AccountSnapshot:
    """What the cluster says of an account; None where it does not say."""

    email: str
    running: int | None = None
    max_running: int | None = None
    credits: float | None = None  # euros


@dataclass(frozen=True)
class Machine:
    """A machine, or something of one, that the account may ask for.

    Arguments:
        name: by which a person chooses it.
        constraint: as a catalog names it: specification, cpu_model, gpu or ssd.
        value: of the constraint.
    """

    name: str
    constraint: str
    value: str | bool


_CONSTRAINTS = {  # discriminator: (constraint, the field with its value; None where it has none)
    "MinimumCoreHardwareConstraint": ("minimum_cores", "coreCount"),
    "MaximumCoreHardwareConstraint": ("maximum_cores", "coreCount"),
    "MinimumRamHardwareConstraint": ("minimum_ram_mb", "minimumMemoryMB"),
    "MaximumRamHardwareConstraint": ("maximum_ram_mb", "maximumMemoryMB"),
    "SpecificHardwareConstraint": ("specification", "specificationKey"),
    "CpuModelHardwareConstraint": ("cpu_model", "cpuModel"),
    "GpuHardwareConstraint": ("gpu", None),
    "SSDHardwareConstraint": ("ssd", None),
}
_MACHINES = {"specification", "cpu_model", "gpu", "ssd"}
_SCHEDULING = {"flex": "flex", "ondemand": "on-demand", "reserved": "reserved"}


def read_machines(constraints: Iterable[Mapping[str, Any]]) -> list[Machine]:
    """Read what `GET /hardware-constraints` offers (§2.2), but for sizes: of those one asks for any."""
    found = []
    for constraint, value in _read_constraints(constraints):
        if constraint in _MACHINES:
            found.append(
                Machine(constraint, constraint, True) if value is True else Machine(str(value), constraint, str(value))
            )
    return list(dict.fromkeys(found))


def read_task(body: Mapping[str, Any]) -> TaskSnapshot:
    """Read a task as answered by `GET /tasks/{id}` (§2.3)."""
    instances = _instances(body)
    return TaskSnapshot(
        id=str(body.get("uuid") or ""),
        name=str(body.get("name") or ""),
        launch_id=str(body.get("shortname") or ""),
        state=str(body.get("state") or ""),
        attempt=max((_integer(i.get("executionAttemptCount")) for i in (*instances, *_completed(body))), default=0),
        created=read_time(body.get("creationDate")),
        ended=read_time(body.get("endDate")),
        started=read_time(body.get("stateTransitionTime")),
        executed=_number(_mapping(body.get("status")).get("executionTimeSec")),
        until_started=_until_started(body),
        job=str(body["jobUuid"]) if body.get("jobUuid") else None,
        labels={str(key): str(value) for key, value in _mapping(body.get("labels")).items()},
        constants={str(item.get("key")): str(item.get("value")) for item in body.get("constants") or []},
        resources=tuple(bucket for bucket in _resources(body) if bucket != body.get("resultBucket")),
        results=body.get("resultBucket") or None,
        results_count=_integer(body.get("resultsCount")),
        snapshot_seconds=None if body.get("snapshotInterval") is None else _integer(body["snapshotInterval"]),
        wanted_snapshot_seconds=_wanted_saves(map(str, body.get("tags") or [])),
        hardware=dict(_read_constraints(body.get("hardwareConstraints") or [])),
        scheduling=_SCHEDULING.get(str(body.get("schedulingType") or "").casefold(), ""),
        forwards=tuple(_forwards(instances)),
        error=_error(body.get("errors")),
    )


def read_buckets(body: Mapping[str, Any]) -> set[str]:
    """Read the names of all buckets of a task or pool, those that it reads and those that it writes (§2.2)."""
    written = (body.get(name) for name in ("resultBucket", "resultsBucket", "snapshotBucket"))
    return {*_resources(body), *(str(name) for name in written if name)}


def read_time(text: object) -> datetime | None:
    """Read a time of the cluster; None for null, nonsense and the year 1."""
    time = times.from_text(str(text))
    return None if time is None or time.year == _NO_DATE_YEAR else time


def _until_started(body: Mapping[str, Any]) -> float | None:
    """Of a task with one instance and one attempt: by the state that it is in, or else by how long it did what.

    While it runs, `stateTransitionTime` is when that began (§2.3). Once it is over, what is left of its whole time
    without execution and upload (`status`, §2.4) was the waiting.
    """
    created, ended = read_time(body.get("creationDate")), read_time(body.get("endDate"))
    status, attempts = _mapping(body.get("status")), [*_instances(body), *_completed(body)]
    if created is None or len(attempts) != 1 or _integer(attempts[0].get("executionAttemptCount")) != 1:
        return None
    if body.get("state") == "FullyExecuting":
        began = read_time(body.get("stateTransitionTime"))
        return None if began is None else max((began - created).total_seconds(), 0.0)
    executed, uploaded = (_integer(status.get(f"{phase}TimeSec")) for phase in ("execution", "upload"))
    if ended is None or not executed:
        return None
    return max((ended - created).total_seconds() - executed - uploaded, 0.0)


def _wanted_saves(tags: Iterable[str]) -> int:
    found = (tag.removeprefix(SAVES_TAG) for tag in tags if tag.startswith(SAVES_TAG))
    return next((int(seconds) for seconds in found if seconds.isascii() and seconds.isdigit()), 0)


def _instances(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    running = _mapping(_mapping(body.get("status")).get("runningInstancesInfo"))
    return [instance for instance in running.get("perRunningInstanceInfo") or [] if isinstance(instance, Mapping)]


def _completed(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [instance for instance in body.get("completedInstances") or [] if isinstance(instance, Mapping)]


def _read_constraints(constraints: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str | int | bool]]:
    """Yield name and value of each that we know; numbers are whole ones, as we send them."""
    for each in constraints:
        name, field_name = _CONSTRAINTS.get(str(each.get("discriminator")), ("", None))
        value = True if field_name is None else each.get(field_name)
        if name and value:
            yield name, int(value) if isinstance(value, float) else value


def _forwards(instances: Iterable[Mapping[str, Any]]) -> Iterable[Forward]:
    for instance in instances:
        for forward in instance.get("activeForwards") or []:
            host = forward.get("forwarderHost")
            app_port, port = _integer(forward.get("applicationPort")), _integer(forward.get("forwarderPort"))
            if host and app_port and port:
                yield Forward(app_port, str(host), port)


def _resources(body: Mapping[str, Any]) -> Iterable[str]:
    for bucket in body.get("advancedResourceBuckets") or []:
        if bucket.get("bucketName"):
            yield str(bucket["bucketName"])
    yield from map(str, body.get("resourceBuckets") or [])


def _error(errors: Any) -> str | None:
    for error in errors or []:
        if isinstance(error, Mapping):
            return str(error.get("message") or error.get("code") or "") or None
    return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _integer(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
