"""Times as text: ISO 8601 in UTC with a `Z`, to the second. In labels of tasks, in JSON, in tables."""

from __future__ import annotations

from datetime import UTC, datetime


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
