"""Times as text, and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.image import Image
from run_qarnot.core import times
from run_qarnot.core.errors import InputError
from run_qarnot.model.spec import LEAST_HOURS, parse_hours, parse_idle

LEAST, MOST = (datetime(year, 1, 1) for year in (1971, 2200))  # noqa: DTZ001  hypothesis adds the zone
ZONES = st.timezones() | st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=30)))


@given(st.datetimes(min_value=LEAST, max_value=MOST, timezones=ZONES))
def test_a_time_survives_to_the_second(time: datetime) -> None:
    text = times.to_text(time)
    assert text.endswith("Z")
    assert times.from_text(text) == (time.astimezone(UTC)).replace(microsecond=0)


@pytest.mark.parametrize("text", ["", "soon", "null", "None", "2026-13-01T00:00:00Z"])
def test_what_is_no_time(text: str) -> None:
    assert times.from_text(text) is None


def test_without_a_zone_it_is_utc() -> None:
    assert times.from_text("2026-03-02T09:15:00") == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


IMAGE = Image(id="base", hours=4, max_hours=48)
MINUTES = st.integers(0, 59)


@given(st.integers(0, 23), MINUTES, st.datetimes(min_value=LEAST, max_value=MOST))
def test_a_time_of_the_day_is_the_next_one(hour: int, minute: int, now: datetime) -> None:
    hours = times.hours_until(f" {hour:02}:{minute:02} ", now)
    assert hours is not None
    assert 0 < hours <= 25
    end = (now.astimezone() + timedelta(hours=hours, milliseconds=1)).astimezone()
    assert (end.hour, end.minute) == (hour, minute)


@pytest.mark.parametrize(
    "text",
    ["", "4", "1.5", "24:00", "18:60", "18", "18h", "18h30", "4h00", "8:00", "18.30", "١٨:٣٠", "18:30:00"],
)
def test_what_is_no_time_of_the_day(text: str) -> None:
    assert times.hours_until(text, datetime(2026, 3, 2)) is None  # noqa: DTZ001  of this machine's zone


@pytest.mark.parametrize("text", ["2_0", "1e1", "1_0.5", "４", "inf", "nan", "0x10", "1e999"])
def test_a_number_that_only_python_knows_is_none(text: str) -> None:
    answer = read(text)
    assert isinstance(answer, InputError)
    assert answer.code == "hours"
    with pytest.raises(InputError):
        parse_idle(text)


@given(st.integers(6, 23), st.sampled_from([0, 10, 15, 20, 30, 40, 45]), st.sampled_from(".,"))
def test_what_may_be_hours_or_a_time_of_the_day_is_asked_about_and_both_can_be_written(
    hour: int, minute: int, mark: str
) -> None:
    typed = f"{hour}{mark}{minute:02}"
    with pytest.raises(InputError) as caught:
        parse_hours(typed, IMAGE)
    assert caught.value.code == "hours-or-clock"
    assert caught.value.facts["clock"] == f"{hour:02}:{minute:02}"
    assert parse_hours(str(caught.value.facts["hours"]), IMAGE) == float(typed.replace(",", "."))


def read(text: str) -> float | InputError:
    """The hours, or what is said instead."""
    try:
        return parse_hours(text, IMAGE)
    except InputError as error:
        return error


@given(st.integers(0, 23), MINUTES, st.sampled_from(["h", "H", " h ", ":", " : "]))
def test_hours_and_minutes_are_what_they_say_or_are_asked_about(hour: int, minute: int, mark: str) -> None:
    """Never is one taken for the other: what reads as four hours is not the time until four o'clock."""
    typed, now = f" {hour}{mark}{minute:02}", datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001  of this machine's zone
    answer, until = read(typed), times.hours_until(typed, now)
    if isinstance(answer, float):
        assert answer == pytest.approx(hour + minute / 60)
        assert until is None
    elif answer.code == "hours":
        assert until is not None, "it is a time, for who may give one"
    else:
        assert until is None
        assert times.hours_until(str(answer.facts["clock"]), now) is not None
        assert read(str(answer.facts["hours"])) == pytest.approx(hour + minute / 60)


@given(st.integers(0, 40), MINUTES, st.sampled_from(["{} h {} min", "{}h{}m", "{} hours {} minutes", "{}h {}mn"]))
def test_what_has_units_is_a_duration(hour: int, minute: int, form: str) -> None:
    assert parse_hours(form.format(hour, minute), IMAGE) == pytest.approx(hour + minute / 60)
    assert times.hours_until(form.format(hour, minute), datetime(2026, 3, 2)) is None  # noqa: DTZ001


@given(st.text(st.sampled_from("0123456789:hHm.,d min"), max_size=8))
def test_anything_else_is_refused_in_words(text: str) -> None:
    answer = read(text)
    assert answer >= 0 if isinstance(answer, float) else answer.code in {"hours", "hours-or-clock"}


DURATIONS = {
    "4h00": 4, "90m": 1.5, "4h": 4, "1h30": 1.5, "4,5": 4.5, "1.5 h": 1.5, "90 min": 1.5, "2d": 48, "4 heures": 4,
    "24h00": 24, "1 j": 24, "0h45": 0.75, "1h05": 1 + 5 / 60, "30mn": 0.5, "12h": 12,
}  # fmt: skip


@pytest.mark.parametrize(("text", "hours"), DURATIONS.items())
def test_durations_as_people_write_them(text: str, hours: float) -> None:
    assert parse_hours(text, IMAGE) == pytest.approx(hours)


@pytest.mark.parametrize("text", ["1:30", "4:00", "9:05", "0:30", "18h30", "8h00", "06h00", "18 H 30"])
def test_what_is_asked_about(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_hours(text, IMAGE)
    assert caught.value.code == "hours-or-clock"


@given(st.floats(LEAST_HOURS, 48) | st.decimals("0.01", 48, places=2).map(float))
def test_hours_that_we_write_are_read_again(hours: float) -> None:
    assert parse_hours(times.write_hours(hours), IMAGE) == float(f"{hours:g}")


@pytest.mark.parametrize("text", ["0.5", "1.25", "1.30", "5,45", "6", "6.5", "12.50", "8,25", "7.75", "18.3", "8.33"])
def test_hours_as_people_write_them(text: str) -> None:
    assert parse_hours(text, IMAGE) == float(text.replace(",", "."))
