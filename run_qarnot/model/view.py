"""What can be shown of a session: a frozen value, made by the engine, shown by the page and the commands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from run_qarnot.core import messages, names, times
from run_qarnot.core.messages import Message, Sentence, Title, english
from run_qarnot.core.state import FINAL, State
from run_qarnot.model.connections import Connection, Mount


@dataclass(frozen=True)
class MachineUse:
    """One machine of a run and how busy it is, as the cluster last said; None for what it does not say."""

    cores: int | None = None
    cpu: str | None = None
    cpu_percent: float | None = None  # 0 to 100
    memory_mb: float | None = None
    memory_used_mb: float | None = None
    specification: str | None = None  # the platform's name for this kind of machine; that of one with a GPU names it


@dataclass(frozen=True)
class RunView:
    """One run of a session, once it is submitted; None for what is unknown, or not over."""

    id: str  # of its task
    started: datetime | None = None  # when it was submitted
    ended: datetime | None = None
    reason: str | None = None  # of the end: a value of EndReason
    cost: float | None = None  # euros so far
    carbon: float | None = None  # grams CO2e so far


@dataclass(frozen=True)
class SessionView:
    """Everything that may be known of a session. Times carry a time zone; what is unknown is None.

    What has no other words is of the latest run.
    """

    id: str  # of the first run's task; empty until that is submitted
    name: str
    image: str
    app: str
    app_title: Title
    state: State
    attempt: int
    run: int = 1  # its number, from 1
    created: datetime | None = None  # when the first run was started
    started: datetime | None = None
    ready: datetime | None = None  # seen to answer since; who came later knows only when its machine began to run
    ends: datetime | None = None
    ended: datetime | None = None
    saved: datetime | None = None
    saved_asked: datetime | None = None  # when the storage was asked for that
    connections: tuple[Connection, ...] = ()
    base_path: str = "/"  # once it is ready: under which the app answers, such as "/rq-0123456789ab/"
    mount: Mount = Mount.NONE  # once it is ready: how a proxy can put the app under a path
    inputs: str | None = None  # bucket
    results: str | None = None  # bucket
    reason: str | None = None  # of the end: a value of EndReason
    error: Sentence | None = None
    runs: tuple[RunView, ...] = ()  # all that were submitted, the oldest first
    cost: float | None = None  # euros so far, of all runs
    cost_per_hour: float | None = None  # euros, as measured so far
    carbon: float | None = None  # grams CO2e so far, of all runs
    asked: datetime | None = None  # when the cluster was asked for cost and carbon
    machines: tuple[MachineUse, ...] = ()  # those that run
    machine_count: int = 1  # how many were asked for
    idle_minutes: float | None = None  # it stops once nobody has used it for so long; None where nobody can tell
    idle_since: datetime | None = None  # while nobody uses it
    progress: float | None = None  # of what is being sent, 0 to 1
    note: Message | None = None  # what is going on right now, beside the state

    @property
    def phase(self) -> Message:
        """What it is doing."""
        if self.state in FINAL and self.note:
            return self.note
        if self.state is State.FAILED:
            return messages.end(self.state, None)
        if self.state in FINAL and self.reason:
            return messages.end(self.state, self.reason, has_run=self.has_run, idle_minutes=self.idle_minutes)
        return self.note or messages.phase(self.state, self.app_title)

    @property
    def idle_stop(self) -> datetime | None:
        """When it stops, if nobody uses it until then; None while it is used, or that is not known."""
        if self.idle_since is None or not self.idle_minutes or self.is_over:
            return None
        return self.idle_since + timedelta(minutes=self.idle_minutes)

    @property
    def reference(self) -> str:
        """What stands for the session in commands, scripts and names of files."""
        return names.reference(self.name, self.id)

    @property
    def has_run(self) -> bool:
        """Whether a machine was ever at work on it: else there is nothing that was saved."""
        return self.attempt > 0 or self.run > 1

    @property
    def is_over(self) -> bool:
        return self.state in FINAL

    def as_json(self) -> dict[str, Any]:
        """The contract of `design.md` §5."""
        return {
            "id": self.id,
            "name": self.name,
            "image": self.image,
            "app": self.app,
            "state": self.state.value,
            "attempt": self.attempt,
            "created": _text(self.created),
            "ready": _text(self.ready),
            "ends": _text(self.ends),
            "idle_stop": _text(self.idle_stop),
            "saved": _text(self.saved),
            "connections": [
                {
                    "kind": connection.kind.value,
                    "url": connection.url,
                    "command": connection.command,
                    "note": english(connection.note),
                    **({"links": [asdict(link) for link in connection.links]} if connection.links else {}),
                }
                for connection in self.connections
            ],
            "inputs": self.inputs,
            "results": self.results,
            "reason": self.reason,
            "error": None if self.error is None else english(self.error),
            "cost": self.cost,
            "carbon": self.carbon,
            "machines": [_machine(machine) for machine in self.machines],
            "runs": [
                {
                    "id": run.id,
                    "started": _text(run.started),
                    "ended": _text(run.ended),
                    "reason": run.reason,
                    "cost": run.cost,
                }
                for run in self.runs
            ],
        }


def _machine(machine: MachineUse) -> dict[str, Any]:
    keys = ("cores", "cpu", "cpu_percent", "memory_mb", "memory_used_mb")
    return {key: getattr(machine, key) for key in keys}


def _text(time: datetime | None) -> str | None:
    return None if time is None else times.to_text(time)
