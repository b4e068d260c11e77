"""Reads what `bootstrap/idle.py` reports about an idle run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from run_qarnot.core import times

FILE, KEEP_ON_FILE = ".run-qarnot/idle.json", ".run-qarnot/keep-on"  # in `/job`, and among the results
_CLOCKS_APART = timedelta(minutes=5)  # largest difference expected between a machine's clock and the cluster's


@dataclass(frozen=True)
class Idle:
    """Since when a run is idle, None if not; and when the program ended it, or runs before it."""

    since: datetime | None = None
    ends: tuple[datetime, ...] = ()

    def since_within(self, started: datetime | None) -> datetime | None:
        """Return `since` if it is of this run: its results begin with a copy of the previous run's."""
        return self.since if self.since and (started is None or self.since >= started - _CLOCKS_APART) else None

    def ended(self, runs: Sequence[tuple[datetime | None, datetime | None]]) -> list[bool]:
        """Say of each run whether the program ended it.

        Arguments:
            runs: when they started and ended, by the cluster's clock. Of several in which the program may have done so,
                the one that ended next to that is meant.
        """
        found = [False] * len(runs)
        for end in self.ends:
            apart = {number: abs(ended - end) for number, (started, ended) in enumerate(runs)
                     if ended is not None and (started is None or started - _CLOCKS_APART <= end)
                     and end <= ended + _CLOCKS_APART}  # fmt: skip
            if apart:
                found[min(apart, key=lambda number: apart[number])] = True
        return found


def read(data: bytes) -> Idle:
    """Read the report; without times if it is damaged."""
    try:
        found = json.loads(data)
    except ValueError:
        return Idle()
    if not isinstance(found, dict):
        return Idle()
    ends = found.get("ends")
    texts = [*(ends if isinstance(ends, list) else ()), found.get("ended")]
    return Idle(_time(found.get("idle_since")), tuple(filter(None, map(_time, texts))))


def _time(value: object) -> datetime | None:
    return times.from_text(value) if isinstance(value, str) else None
