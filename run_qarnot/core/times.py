"""Times as text: ISO 8601 in UTC with a `Z`, to the second. In labels of tasks, in JSON, in tables.

And as a person types them: times of the day, of where the person is.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from run_qarnot.core.errors import InputError

_YEARS = range(1971, 3000)
_CLOCK = re.compile(r"\s*([01][0-9]|2[0-3])\s*:\s*([0-5][0-9])\s*")  # 18:30, 08:00: as on the page
# To many, `18.30`, `18h30` and `1:30` are times of the day, to others hours: these are asked about.
_MAYBE_CLOCK = re.compile(r"(0?[6-9]|1[0-9]|2[0-3])[.,]([0-4]0|[14]5)")
_MAYBE_HOURS = re.compile(r"(0?[6-9]|1[0-9]|2[0-3])\s*h\s*([0-5][0-9])|([0-9])\s*:\s*([0-5][0-9])", re.IGNORECASE)
_NUMBER = r"[0-9]+(?:[.,][0-9]*)?"
_PLAIN_NUMBER = re.compile(rf"[+-]?(?:{_NUMBER}|[.,][0-9]+)")
_DURATION = re.compile(
    rf"(?:({_NUMBER})\s*(?:days?|d|jours?|j)\b)?\s*(?:({_NUMBER})\s*(?:hours?|heures?|hrs?|h)(?![a-z]))?"
    rf"\s*(?:({_NUMBER})\s*(?:minutes?|mins?|mn|m)\b)?",
    re.IGNORECASE,
)
_HOURS_AND_MINUTES = re.compile(r"([0-9]+)\s*h\s*([0-5][0-9])", re.IGNORECASE)  # 1h30


def to_text(time: datetime) -> str:
    """Write a time that has a time zone."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime | None:
    """Read a time, in UTC; one without a time zone is UTC. None for what is no time, and for years out of reach.

    Out of reach is what cannot be added to, or shown as a local time: Windows has none before 1970 or after 3000.
    """
    try:
        time = datetime.fromisoformat(text)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year in _YEARS else None


def hours_until(text: str, now: datetime) -> float | None:
    """Return how many hours it is until a time of the day comes next, such as `18:30`; None if it is none.

    Arguments:
        text: as typed.
        now: where the person is, without a time zone: that of this machine counts.
    """
    if (found := _CLOCK.fullmatch(text)) is None:
        return None
    end = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    if end <= now:
        end += timedelta(days=1)
    return (end.astimezone() - now.astimezone()) / timedelta(hours=1)  # a night may have an hour more, or less


def _number(text: str) -> float:
    """Read a number as people write it; NaN for another one that only Python knows, such as `2_0`, which is 20."""
    return float(text.replace(",", ".")) if _PLAIN_NUMBER.fullmatch(text) else math.nan


def read_hours(text: str) -> float:
    """Read a number of hours, or a duration: `1.5`, `1,5`, `4h`, `1h30`, `90m`, `1 h 30 min`; NaN for what is none.

    Raises:
        InputError: it could be a time of the day as well (`check_is_no_clock`).
    """
    check_is_no_clock(text)
    typed = text.strip()
    if found := _HOURS_AND_MINUTES.fullmatch(typed):
        return int(found[1]) + int(found[2]) / 60
    found = _DURATION.fullmatch(typed)
    if typed and found:
        days, hours, minutes = (float((part or "0").replace(",", ".")) for part in found.groups())
        return days * 24 + hours + minutes / 60
    return _number(typed)


def read_minutes(text: str) -> float:
    """Read a number of minutes, or a duration as `read_hours` does; NaN for what is none.

    Raises:
        InputError: it could be a time of the day as well, such as `18h30`.
    """
    minutes = _number(text.strip())
    return read_hours(text) * 60 if math.isnan(minutes) else minutes


def check_is_no_clock(text: str) -> None:
    """Raise InputError for `18.30`, `18h30` and `1:30`: to some these are times of the day, to others hours.

    Of `18.30`, such are, from 6 on, whole tens of minutes and quarters; not `.50`, half an hour, nor `.33`, which
    programs write. `1h30` is a duration: hardly anybody has a session end at half past one in the night. `08:00` is a
    time, and `8:00` either.
    """
    typed = text.strip()
    if found := _MAYBE_CLOCK.fullmatch(typed):
        hours = typed.rstrip("0").rstrip(".,") if typed.endswith("0") else f"{typed}0"
        clock = f"{int(found[1]):02}:{found[2]}"
        raise InputError("hours-or-clock", field="hours", typed=typed, clock=clock, hours=hours)
    if found := _MAYBE_HOURS.fullmatch(typed):
        hour, minute = found[1] or found[3], found[2] or found[4]
        duration = f"{int(hour)} h {minute} min" if int(minute) else f"{int(hour)} h"
        clock = f"{int(hour):02}:{minute}"
        raise InputError("hours-or-clock", field="hours", typed=typed, clock=clock, hours=duration)


def write_hours(hours: float) -> str:
    """Write a number of hours, so that `spec.parse_hours` reads it."""
    text = f"{hours:g}"
    return f"{text}0" if _MAYBE_CLOCK.fullmatch(text) else text
