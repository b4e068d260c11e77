"""Reads what `bootstrap/idle.py` reports about an idle run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from run_qarnot.core import times

FILE, KEEP_ON_FILE = ".run-qarnot/idle.json", ".run-qarnot/keep-on"  # in `/job`, and among the results
_CLOCKS_APART = timedelta(minutes=5)  # largest difference expected between a machine's clock and the cluster's


@dataclass(frozen=True)
class Idle:
    """Since when a run is idle, and when it was ended because of that; None if not."""

    since: datetime | None = None
    ended: datetime | None = None

    def within(self, started: datetime | None) -> Idle:
        """Return only times of this run: its results begin with a copy of the previous run's."""

        def kept(time: datetime | None) -> datetime | None:
            return time if time and (started is None or time >= started - _CLOCKS_APART) else None

        return Idle(kept(self.since), kept(self.ended))


def read(data: bytes) -> Idle:
    """Read the report; without times if it is damaged."""
    try:
        found = json.loads(data)
    except ValueError:
        return Idle()
    return Idle(_time(found, "idle_since"), _time(found, "ended"))


def _time(found: Any, name: str) -> datetime | None:
    value = found.get(name) if isinstance(found, dict) else None
    return times.from_text(value) if isinstance(value, str) else None
