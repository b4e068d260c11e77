"""Times as text, and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot import times

LEAST, MOST = (datetime(year, 1, 1) for year in (1971, 2200))  # noqa: DTZ001  hypothesis adds the zone
ZONES = st.timezones() | st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30)))


@given(st.datetimes(min_value=LEAST, max_value=MOST, timezones=ZONES))
def test_a_time_survives_to_the_second(time):
    text = times.to_text(time)
    assert text.endswith("Z")
    assert times.from_text(text) == (time.astimezone(UTC)).replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "soon", "null", "None", "2026-13-01T00:00:00Z"])
def test_what_is_no_time(text):
    assert times.from_text(text) is None


def test_without_a_zone_it_is_utc():
    assert times.from_text("2026-03-02T09:15:00") == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
