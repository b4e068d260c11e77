"""Dates and durations on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from qarnot_local import wire


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:01:05", 65), ("1.02:00:00", 93_600), ("00:00:01.9999999", 1), ("99999999.00:00:00", wire.LONGEST_SECONDS),
     ("5", None), (5, None), ("00:00", None)],
)  # fmt: skip
def test_seconds_of_a_duration(text: object, seconds: float | None) -> None:
    assert wire.seconds(text) == seconds


def test_a_duration_has_days_from_24_hours_on() -> None:
    assert [wire.duration(seconds) for seconds in (0, 86_399, 86_400)] == ["00:00:00", "23:59:59", "1.00:00:00"]


def test_a_date_has_whole_seconds_and_is_never_null() -> None:
    assert wire.date(datetime(2026, 3, 2, 9, 16, 47, 999, UTC)) == "2026-03-02T09:16:47Z"
    assert wire.date(None) == "0001-01-01T00:00:00Z"


def test_names_of_buckets() -> None:
    assert [wire.is_bucket_name(name) for name in ("abc", "A_b.c-d", "ab", "-ab", "a/b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
