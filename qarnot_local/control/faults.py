"""Scripted faults and the record of calls, for the API and the storage."""

from __future__ import annotations

import difflib
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

STATUS, RESET, TIMEOUT, LOST = "status", "reset", "timeout", "lost answer"
HOWS = (STATUS, RESET, TIMEOUT, LOST)
_KEPT_CALLS = 20_000


class ControlError(Exception):
    """A wrong use of the control: a misspelt name, an impossible value, or a scripted fault that was never met."""


@dataclass
class Call:
    """One request. `route` is the template (`/tasks/{name}/abort`) or the operation (`s3:PutObject`)."""

    method: str
    route: str
    path: str
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))  # of this machine, not of the cluster
    status: int | None = None  # None: no answer (yet, or ever)
    seconds: float = 0.0
    started: float = field(default_factory=time.monotonic, repr=False)

    def end(self, status: int | None) -> None:
        self.status = status
        self.seconds = time.monotonic() - self.started

    def answer(self) -> dict[str, Any]:
        """As `/_control/calls` tells it."""
        moment = self.moment.isoformat().replace("+00:00", "Z")
        return {
            "method": self.method,
            "route": self.route,
            "path": self.path,
            "time": moment,
            "status": self.status,
            "seconds": round(self.seconds, 6),
        }


@dataclass
class Fault:
    """One scripted trouble. `seconds` alone makes it a mere delay."""

    method: str
    route: str
    how: str = STATUS
    status: int | None = None
    body: Any = None
    code: str = ""  # S3's own error code
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1  # None: always
    skip: int = 0  # let so many matching calls pass first
    path: str | None = None  # a glob on the path as asked, `bucket/key` for storage
    after_bytes: int = 0
    only_with: str = ""  # a header, in small letters, that the request must have
    seconds: float = 0.0
    used: int = 0

    @property
    def is_delay(self) -> bool:
        return self.how == STATUS and self.status is None

    @property
    def is_spent(self) -> bool:
        return self.times is not None and self.used >= self.times

    @property
    def is_unused(self) -> bool:
        return self.used < (self.times or 1)

    def concerns(self, method: str, route: str, path: str, headers: Collection[str]) -> bool:
        if self.only_with and self.only_with not in headers:
            return False
        if self.is_spent or self.method not in {"*", method} or not covers(self.route, route, path):
            return False
        return self.path is None or fnmatchcase(path, self.path)

    def __str__(self) -> str:
        what = f"a delay of {self.seconds} s" if self.is_delay else f"{self.how} {self.status or ''}".strip()
        wanted = "at least once" if self.times is None else f"{self.times} time(s)"
        return f"{self.method} {self.route}: {what}, wanted {wanted}, used {self.used} time(s)"


class Faults:
    def __init__(self) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self.stopping = threading.Event()  # ends the requests that are never answered
        self.ignored_headers: set[str] = set()  # of requests to storage, in small letters
        self._faults: list[Fault] = []
        self._routes: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def know(self, method: str, route: str) -> None:
        """Register a route."""
        self._routes.add((method, route))

    def add(self, fault: Fault) -> Fault:
        """Script it. Raises ControlError when no such route exists."""
        self.check_route(fault.method, fault.route)
        with self._lock:
            self._faults.append(fault)
        return fault

    def check_route(self, method: str, route: str) -> None:
        known = [each for its_method, each in self._routes if method in {"*", its_method}]
        if not known or (route != "*" and not any(covers(route, each, None) for each in known)):
            raise ControlError(f"No such route: {method} {route}. {_nearest(route, known)}")

    def routes(self) -> list[str]:
        return sorted(f"{method} {route}" for method, route in self._routes)

    def begin(
        self, method: str, route: str, path: str, headers: Collection[str] = ()
    ) -> tuple[Call, float, Fault | None]:
        """Record a request; tells how long to delay it and which fault, at most one, it meets."""
        call = Call(method, route, path)
        delay, met = 0.0, None
        with self._lock:
            self.calls.append(call)
            for fault in self._faults:
                if not (fault.is_delay or met is None) or not fault.concerns(method, route, path, headers):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.used += 1
                delay += fault.seconds
                met = met if fault.is_delay else fault
        return call, delay, met

    def unused(self) -> list[str]:
        with self._lock:
            return [str(fault) for fault in self._faults if fault.is_unused]

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[str]:
        with self._lock:
            return [str(fault) for fault in self._faults]


def covers(pattern: str, route: str, path: str | None) -> bool:
    """Whether `/tasks/*/abort`, `/tasks/{any}/abort` or `/tasks/<uuid>/abort` means this route (and this path)."""
    if pattern in {"*", route}:
        return True
    if route.startswith("s3:") or pattern.startswith("s3:"):
        return fnmatchcase(route, pattern)
    wanted, template = pattern.strip("/").split("/"), route.strip("/").split("/")
    asked = path.strip("/").split("/") if path is not None else [None] * len(template)
    if not len(wanted) == len(template) == len(asked):
        return False
    return all(_fits(*each) for each in zip(wanted, template, asked, strict=True))


def _fits(wanted: str, template: str, asked: str | None) -> bool:
    if not template.startswith("{"):
        return wanted == template
    return wanted == "*" or wanted.startswith("{") or asked is None or wanted == asked


def _nearest(wanted: str, known: list[str]) -> str:
    best = difflib.get_close_matches(wanted, sorted(set(known)), 3, 0)
    return f"Nearest: {', '.join(best)}." if best else "No route has this method."


def summed(calls: Iterator[Call]) -> dict[str, int]:
    """How often each route was asked: `{"GET /tasks/{name}": 3}`."""
    counts: dict[str, int] = {}
    for call in calls:
        name = f"{call.method} {call.route}"
        counts[name] = counts.get(name, 0) + 1
    return counts
