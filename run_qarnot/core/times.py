"""Times as text: ISO 8601 in UTC with a `Z`, to the second. In labels of tasks, in JSON, in tables.

And as a person types them: times of the day, of where the person is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from run_qarnot.core.errors import InputError

_CLOCK = re.compile(r"\s*([01]?[0-9]|2[0-3])\s*[:hH]\s*([0-5][0-9])\s*")  # 18:30, 18h30: as on the page
_MAYBE_CLOCK = re.compile(r"(0?[6-9]|1[0-9]|2[0-3])[.,]([0-4]0|[14]5)")


def to_text(time: datetime) -> str:
    """Write a time that has a time zone."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime | None:
    """Read a time; one without a time zone is UTC. None for what is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def hours_until(text: str, now: datetime) -> float | None:
    """Return how many hours it is until a time of the day comes next, such as `18:30` or `18h30`; None if it is none.

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


def check_is_no_clock(text: str) -> None:
    """Raise InputError for `18.30`: to many it is half past six, and not 18 hours and 18 minutes.

    Such are, from 6 on, whole tens of minutes and quarters; not `.50`, half an hour, nor `.33`, which programs write.
    """
    typed = text.strip()
    if found := _MAYBE_CLOCK.fullmatch(typed):
        hours = typed.rstrip("0").rstrip(".,") if typed.endswith("0") else f"{typed}0"
        raise InputError("hours-or-clock", field="hours", typed=typed, clock=f"{found[1]}:{found[2]}", hours=hours)


def write_hours(hours: float) -> str:
    """Write a number of hours, so that `spec.parse_hours` reads it."""
    text = f"{hours:g}"
    return f"{text}0" if _MAYBE_CLOCK.fullmatch(text) else text
