"""What the cluster says of a task, as frozen values: the boundary between its JSON and our code.

Anybody with access to the account writes names, labels and constants of tasks, also by other programs. So nothing here
raises, whatever the JSON is (`reference/qarnot-platform.md` §6.30): a field of the wrong type is an empty value. And
what comes out can be used as it is: ids and hosts have the characters of ids and hosts, numbers are finite, times can
be added to, and text to be shown is one line of visible characters. Only constants keep their lines and tabs.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from run_qarnot.core import names, times, visible
from run_qarnot.model.connections import Forward
from run_qarnot.model.plan import SAVES_TAG, Label
from run_qarnot.model.view import MachineUse

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")  # UUIDs, and what may stand in their place in an address (§2.2)
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_PORTS = range(1, 1 << 16)
_LONGEST_LINE = 200  # characters of a name or label; what is longer is no name, and would fill the screen
_LONGEST_ERROR = 2000
_LARGEST = 2**53  # what JSON carries exactly everywhere

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskSnapshot:
    """One look at a task.

    `name` is what is shown: where it is no name of a session (`names.is_name`), what cannot be seen is written out, and
    only the id leads to the task.
    """

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
    machines: tuple[MachineUse, ...]  # those that run now
    machine_count: int  # of all, running or not
    error: str | None
    ended_idle: bool = False  # nobody used it: known not from the cluster, but from the results

    def label(self, label: Label) -> str:
        return self.labels.get(label.value, "")

    @property
    def session_id(self) -> str:
        """The session of which this is a run. One that version 0.1 started has no label, and is one of its own."""
        return self.label(Label.SESSION) or self.launch_id or self.id

    @property
    def reference(self) -> str:
        """What stands for the task in commands."""
        return names.reference(self.name, self.id)


@dataclass(frozen=True)
class AccountSnapshot:
    """What the cluster says of an account; None where it does not say."""

    email: str
    running: int | None = None
    max_running: int | None = None
    credits: float | None = None  # euros
    stored: float | None = None  # bytes in all buckets
    max_stored: float | None = None  # bytes


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
CONSTRAINT_KINDS = frozenset(_CONSTRAINTS)  # that are read; others are left out
_MACHINES = {"specification", "cpu_model", "gpu", "ssd"}
_SCHEDULING = {"flex": "flex", "ondemand": "on-demand", "reserved": "reserved"}


def read_machines(constraints: object) -> list[Machine]:
    """Read what `GET /hardware-constraints` offers (§2.2), but for sizes: of those one asks for any."""
    found = []
    for constraint, value in _read_constraints(constraints):
        if value is True and constraint in _MACHINES:
            found.append(Machine(constraint, constraint, True))
        elif isinstance(value, str) and constraint in _MACHINES:
            found.append(Machine(value, constraint, value))
    return list(dict.fromkeys(found))


def read_tasks(bodies: object) -> list[TaskSnapshot]:
    """Read a list of tasks. What has no usable id cannot be asked for, stopped or deleted, and is left out."""
    read = [read_task(body) for body in _mappings(bodies)]
    if unusable := [task.name for task in read if not task.id]:
        log.warning("Tasks without a usable id are not shown: %s", ", ".join(unusable))
    return [task for task in read if task.id]


def read_task(body: object) -> TaskSnapshot:
    """Read a task as answered by `GET /tasks/{id}` (§2.3). Its id is empty if there is none that can be used."""
    body = _mapping(body)
    instances = [*_instances(body), *_completed(body)]
    task_id = read_id(body.get("uuid"))
    results = _line(body.get("resultBucket")) or None
    interval = body.get("snapshotInterval")
    return TaskSnapshot(
        id=task_id,
        name=_line(body.get("name")) or task_id,
        launch_id=_line(body.get("shortname")),
        state=_line(body.get("state")),
        attempt=max((_integer(each.get("executionAttemptCount")) for each in instances if _leads(each)), default=0),
        created=read_time(body.get("creationDate")),
        ended=read_time(body.get("endDate")),
        started=read_time(body.get("stateTransitionTime")),
        executed=_number(_mapping(body.get("status")).get("executionTimeSec")),
        until_started=_until_started(body),
        job=read_id(body.get("jobUuid")) or None,
        labels={_line(key): _line(value) for key, value in _mapping(body.get("labels")).items()},
        constants={_line(item.get("key")): _text(item.get("value")) for item in _mappings(body.get("constants"))},
        resources=tuple(bucket for bucket in _resources(body) if bucket != results),
        results=results,
        results_count=_integer(body.get("resultsCount")),
        snapshot_seconds=None if interval is None else _integer(interval),
        wanted_snapshot_seconds=_wanted_saves(map(_text, _list(body.get("tags")))),
        hardware=dict(_read_constraints(body.get("hardwareConstraints"))),
        scheduling=_SCHEDULING.get(_text(body.get("schedulingType")).casefold(), ""),
        forwards=tuple(_forwards(filter(_leads, _instances(body)))),
        machines=tuple(map(_machine, _instances(body))),
        machine_count=max(_integer(body.get("totalInstanceCount")), _integer(body.get("instanceCount")), 1),
        error=_error(body.get("errors")),
    )


def read_account(info: object, fallback_email: str, credits_left: float | None) -> AccountSnapshot:
    """Read `GET /info` (§5)."""
    info = _mapping(info)
    counts = {name: info.get(name) for name in ("runningTaskCount", "maxRunningTask")}
    running, most = (None if value is None else _integer(value) for value in counts.values())
    stored, most_stored = map(_at_least_nothing, map(info.get, ("usedQuotaBytesBucket", "quotaBytesBucket")))
    email = _line(info.get("email")) or fallback_email
    return AccountSnapshot(email, running, most, credits_left, stored, most_stored)


def read_buckets(body: object) -> set[str]:
    """Read the names of all buckets of a task or pool, those that it reads and those that it writes (§2.2).

    Whatever text stands in these fields counts: a bucket that is named by mistake is kept, and that does no harm.
    """
    body = _mapping(body)
    fields = ("resultBucket", "resultsBucket", "snapshotBucket", "resourceBuckets", "advancedResourceBuckets")
    return {text for name in fields for text in _texts(body.get(name))}


def read_id(value: object) -> str:
    """Read an id; empty for what could be none."""
    return text if _ID.fullmatch(text := _text(value)) else ""


def read_texts(values: object) -> list[str]:
    """Read a list of texts, such as the names of profiles; what is none is left out."""
    return [text for value in _list(values) if (text := _line(value))]


def read_constants(values: object) -> dict[str, str]:
    """Read the constants of a profile: default values by name, empty where there is none."""
    return {name: _line(value.get("value")) or "" for value in _mappings(values) if (name := _line(value.get("name")))}


def read_number(value: object) -> float | None:
    """Read a number, such as a price; None for null, nonsense and what is not finite."""
    return _finite(value)


def read_time(text: object) -> datetime | None:
    """Read a time of the cluster, in UTC; None for null, nonsense and the year 1, which stands for "not yet"."""
    return times.from_text(text) if isinstance(text, str) else None


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
    return next((int(seconds) for seconds in found if re.fullmatch(r"[0-9]{1,9}", seconds)), 0)


def _instances(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    running = _mapping(_mapping(body.get("status")).get("runningInstancesInfo"))
    return _mappings(running.get("perRunningInstanceInfo"))


def _completed(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _mappings(body.get("completedInstances"))


def _leads(instance: Mapping[str, Any]) -> bool:
    """Whether this is the first machine of a run: the app runs there, and what is said of its life counts."""
    return _integer(instance.get("instanceId")) == 0


def _machine(instance: Mapping[str, Any]) -> MachineUse:
    """Read one of `perRunningInstanceInfo` (§2.4)."""
    cores, percent = _finite(instance.get("coreCount")), _finite(instance.get("cpuUsage"))
    return MachineUse(
        cores=None if cores is None or cores < 1 else int(cores),
        cpu=_line(instance.get("cpuModel")) or None,
        cpu_percent=None if percent is None else min(max(percent, 0.0), 100.0),
        memory_mb=_at_least_nothing(instance.get("maxMemoryMB")),
        memory_used_mb=_at_least_nothing(instance.get("currentMemoryMB")),
        specification=_line(instance.get("specificationKey")) or None,
    )


def _read_constraints(constraints: object) -> Iterator[tuple[str, str | int | bool]]:
    """Yield name and value of each that we know; numbers are whole ones, as we send them."""
    for each in _mappings(constraints):
        name, field_name = _CONSTRAINTS.get(_text(each.get("discriminator")), ("", None))
        if not name:
            continue
        if field_name is None:
            yield name, True
        elif name in _MACHINES:
            text = each.get(field_name)
            if isinstance(text, str) and text and text == _line(text):  # sent back as it is, so nothing may be changed
                yield name, text
        elif number := _integer(each.get(field_name)):
            yield name, number


def _forwards(instances: Iterable[Mapping[str, Any]]) -> Iterator[Forward]:
    """Yield the ports that can be reached. They become commands, scripts and addresses: a host is nothing else."""
    for instance in instances:
        for forward in _mappings(instance.get("activeForwards")):
            host = _text(forward.get("forwarderHost"))
            app_port, port = _integer(forward.get("applicationPort")), _integer(forward.get("forwarderPort"))
            if _HOST.fullmatch(host) and app_port in _PORTS and port in _PORTS:
                yield Forward(app_port, host, port)


def _resources(body: Mapping[str, Any]) -> Iterator[str]:
    advanced = (_line(bucket.get("bucketName")) for bucket in _mappings(body.get("advancedResourceBuckets")))
    yield from filter(None, (*advanced, *map(_line, _list(body.get("resourceBuckets")))))


def _error(errors: object) -> str | None:
    for error in _mappings(errors):
        return _line(error.get("message") or error.get("code"), _LONGEST_ERROR) or None
    return None


# — values of the right kind, out of anything —


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str) and each:
            yield each
        elif isinstance(each, Mapping):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _text(value: object) -> str:
    """Text, and numbers as text."""
    if isinstance(value, str):
        return visible.without_surrogates(value)
    try:
        return str(value) if isinstance(value, int | float) else ""
    except ValueError:  # Python writes no number of over 4300 digits
        return ""


def _line(value: object, longest: int = _LONGEST_LINE) -> str:
    """Text to be shown."""
    text = _text(value)
    return visible.one_line(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -_LARGEST <= value <= _LARGEST else None  # NaN is in no range


def _at_least_nothing(value: object) -> float | None:
    return None if (number := _finite(value)) is None or number < 0 else number


def _number(value: object) -> float:
    return max(_finite(value) or 0.0, 0.0)


def _integer(value: object) -> int:
    return math.floor(_number(value))
