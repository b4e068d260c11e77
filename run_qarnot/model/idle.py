"""What the program beside the app says of a run that nobody uses (`bootstrap/idle.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from run_qarnot.core import times

FILE, KEEP_ON_FILE = ".run-qarnot/idle.json", ".run-qarnot/keep-on"  # in `/job`, and among the results
_CLOCKS_APART = timedelta(minutes=5)  # at most, of a machine and the cluster


@dataclass(frozen=True)
class Idle:
    """When nobody used a run; None for what is not so."""

    since: datetime | None = None
    ended: datetime | None = None

    def within(self, started: datetime | None) -> Idle:
        """Leave out what is older than a run: its results begin with those of the one before."""

        def kept(time: datetime | None) -> datetime | None:
            return time if time and (started is None or time >= started - _CLOCKS_APART) else None

        return Idle(kept(self.since), kept(self.ended))


def read(data: bytes) -> Idle:
    """Read the file; whatever else is in it, nobody knows anything."""
    try:
        found = json.loads(data)
    except ValueError:
        return Idle()
    return Idle(_time(found, "idle_since"), _time(found, "ended"))


def _time(found: Any, name: str) -> datetime | None:
    value = found.get(name) if isinstance(found, dict) else None
    return times.from_text(value) if isinstance(value, str) else None
