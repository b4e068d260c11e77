"""How dates, durations and names are written on the wire (`reference/qarnot-platform.md` §0.3, §0.4)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from qarnot_local.runtime import clock

View = dict[str, Any]  # a record as a GET answers it
LONGEST_SECONDS = 2**31 - 1  # 68 years: dates much later cannot be counted with
NEVER = "0001-01-01T00:00:00Z"  # an end date before the end, §2.3: not null, C# needs a date

_BUCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{1,61}[A-Za-z0-9_]")


def is_bucket_name(name: str) -> bool:
    """By the rules of S3 (§4.3), with the capitals and underscores that older buckets have."""
    return _BUCKET.fullmatch(name) is not None


def now() -> datetime:
    """The cluster's own time."""
    return clock.current().now()


def date(moment: datetime | None) -> str:
    """Whole seconds and `Z`: the only form that every SDK parses (§0.4)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else NEVER


def duration(seconds: float) -> str:
    """`HH:MM:SS`, with a day part from 24 hours on (§0.4, §0.8)."""
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}.{clock}" if days else clock


def seconds(text: object) -> float | None:
    """The seconds in `[d.]hh:mm:ss[.fraction]`, or None when the text is no duration; C#'s longest is just long."""
    found = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?", text) if isinstance(text, str) else None
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return min(days * 86400 + hours * 3600 + minutes * 60 + rest, LONGEST_SECONDS)
