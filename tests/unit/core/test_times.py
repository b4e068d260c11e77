"""Times as text, and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.image import Image
from run_qarnot.core import times
from run_qarnot.core.errors import InputError
from run_qarnot.model.spec import LEAST_HOURS, parse_hours

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


IMAGE = Image(id="base", hours=4, max_hours=48)
MINUTES = st.integers(0, 59)


@given(st.integers(0, 23), MINUTES, st.sampled_from(":hH"), st.datetimes(min_value=LEAST, max_value=MOST))
def test_a_time_of_the_day_is_the_next_one(hour, minute, mark, now):
    hours = times.hours_until(f" {hour}{mark}{minute:02} ", now)
    assert hours is not None
    assert 0 < hours <= 25
    end = (now.astimezone() + timedelta(hours=hours, milliseconds=1)).astimezone()
    assert (end.hour, end.minute) == (hour, minute)


@pytest.mark.parametrize("text", ["", "4", "1.5", "24:00", "18:60", "18", "18h", "18.30", "١٨:٣٠", "18:30:00"])
def test_what_is_no_time_of_the_day(text):
    assert times.hours_until(text, datetime(2026, 3, 2)) is None  # noqa: DTZ001  of this machine's zone


@given(st.integers(6, 23), st.sampled_from([0, 10, 15, 20, 30, 40, 45]), st.sampled_from(".,"))
def test_what_may_be_hours_or_a_time_of_the_day_is_asked_about_and_both_can_be_written(hour, minute, mark):
    typed = f"{hour}{mark}{minute:02}"
    with pytest.raises(InputError) as caught:
        parse_hours(typed, IMAGE)
    assert caught.value.code == "hours-or-clock"
    assert caught.value.facts["clock"] == f"{hour}:{minute:02}"
    assert parse_hours(str(caught.value.facts["hours"]), IMAGE) == float(typed.replace(",", "."))


@given(st.floats(LEAST_HOURS, 48) | st.decimals("0.01", 48, places=2).map(float))
def test_hours_that_we_write_are_read_again(hours):
    assert parse_hours(times.write_hours(hours), IMAGE) == float(f"{hours:g}")


@pytest.mark.parametrize("text", ["0.5", "1.25", "1.30", "5,45", "6", "6.5", "12.50", "8,25", "7.75", "18.3", "8.33"])
def test_hours_as_people_write_them(text):
    assert parse_hours(text, IMAGE) == float(text.replace(",", "."))
