"""What plugins get to see: values made for them. No token, no connection, nothing of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from run_qarnot.core.messages import english
from run_qarnot.model.view import SessionView

Value: TypeAlias = str | int | float | bool
_MOST_TEXT_BYTES = 1_000_000


class Refusal(Exception):  # noqa: N818  what a plugin raises is a decision, not an error
    """Raised in `rq_prepare`: the session is not to be started. The text is a sentence for who wants to start it."""


@dataclass
class TaskDraft:
    """What is about to be sent to Qarnot. `rq_prepare` changes it in place.

    Arguments:
        name: of the session; not to be changed.
        profile: of the task; not to be changed.
        constants: of the task, which a container sees as environment variables. Keys and tokens are not among them.
        buckets: whose files the machine gets before the session's own inputs; of two files with one path the later
            bucket's wins. They must exist.
        tags: of the task in Qarnot, besides our own.
        hardware: constraints, such as `{"minimum_cores": 8}`.
        scheduling: "", "flex", "on-demand" or "reserved".
        hours: the session stops after so many.
        snapshot_minutes: between saves; 0 for none.
        instances: how many machines.
    """

    name: str
    profile: str
    constants: dict[str, Value] = field(default_factory=dict, repr=False)
    buckets: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    hardware: dict[str, Value] = field(default_factory=dict)
    scheduling: str = ""
    hours: float = 1
    snapshot_minutes: float = 0
    instances: int = 1


@dataclass(frozen=True)
class SessionEvent:
    """Something happened to a session.

    Arguments:
        name: the state that it reached (`waiting loading starting ready stopping ended failed` …), or `restarted` when
            Qarnot moved it to another machine, or `saved`.
        text: the same for people, in English.
        time: with time zone.
    """

    name: str
    text: str
    time: datetime


@dataclass(frozen=True)
class SessionInfo:
    """What may be known of a session. Times carry a time zone; what is unknown is None."""

    id: str
    name: str
    image: str
    app: str
    state: str
    attempt: int
    created: datetime | None = None
    ready: datetime | None = None
    ends: datetime | None = None
    ended: datetime | None = None
    saved: datetime | None = None
    inputs: str | None = None  # bucket
    results: str | None = None  # bucket
    reason: str | None = None  # of the end
    error: str | None = None  # a sentence
    cost: float | None = None  # euros so far
    carbon: float | None = None  # grams CO2e so far
    _read: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)

    def text(self, path: str) -> str:
        """Return a file of the session's saved results as text; empty when it is not there or not to be read now."""
        if self._read is None:
            return ""
        try:
            return self._read(path)[:_MOST_TEXT_BYTES].decode(errors="replace")
        except Exception:  # noqa: BLE001  not there, or the storage fails in any way: a panel shows the same
            return ""


def session_info(view: SessionView, read: Callable[[str], bytes] | None = None) -> SessionInfo:
    """Return what plugins may know of a session: without its connections, because their addresses let anybody in."""
    return SessionInfo(
        id=view.id,
        name=view.name,
        image=view.image,
        app=view.app,
        state=view.state.value,
        attempt=view.attempt,
        created=view.created,
        ready=view.ready,
        ends=view.ends,
        ended=view.ended,
        saved=view.saved,
        inputs=view.inputs,
        results=view.results,
        reason=view.reason,
        error=None if view.error is None else english(view.error),
        cost=view.cost,
        carbon=view.carbon,
        _read=read,
    )
