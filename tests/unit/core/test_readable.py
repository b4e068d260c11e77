"""What a person reads of times and transfers."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core import readable

NOW = datetime(2026, 11, 30, 14, 10, tzinfo=ZoneInfo("Europe/Paris"))


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2026, 11, 30, 13, 10, tzinfo=UTC), "today 14:10"),
        (datetime(2026, 11, 30, 23, 30, tzinfo=UTC), "tomorrow 00:30"),
        (datetime(2026, 11, 28, 23, 30, tzinfo=UTC), "yesterday 00:30"),
        (datetime(2026, 12, 24, 17, 0, tzinfo=UTC), "24 Dec 18:00"),
        (datetime(2026, 7, 1, 10, 0, tzinfo=UTC), "1 Jul 12:00"),
        (datetime(2025, 12, 24, 17, 0, tzinfo=UTC), "24 Dec 2025 18:00"),
    ],
)
def test_a_time_is_that_of_where_the_person_is(time: datetime, text: str) -> None:
    assert readable.clock(time, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "now"),
        (45, "in 45 s"),
        (-59.6, "1 min ago"),
        (-720, "12 min ago"),
        (3 * 3600 + 20 * 60, "in 3 h 20 min"),
        (3599, "in 1 h"),
        (-86400, "1 day ago"),
        (86399, "in 1 day"),
        (52 * 3600, "in 2 days 4 h"),
    ],
)
def test_how_far_away(seconds: float, text: str) -> None:
    assert readable.away(NOW + timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_960, "100 kB"), (999_600, "1.0 MB"), (2e12, "2.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert readable.size(count) == text


def test_a_bar() -> None:
    assert readable.bar(5e6, 10e6, 5, width=10) == "[#####-----]  50 %  5.0 MB of 10.0 MB  1.0 MB/s  5 s left"
    assert readable.bar(0, 0, 0, width=4) == "[####] 100 %  0 bytes of 0 bytes"


@given(st.floats(0, 1e15), st.floats(0, 1e15), st.floats(0, 1e9))
def test_a_bar_has_one_width_whatever_was_moved(done: float, total: float, seconds: float) -> None:
    drawn = readable.bar(done, total, seconds, width=10)
    assert drawn.index("]") == 11
    assert "\n" not in drawn


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_time_can_be_said(time: datetime) -> None:
    assert readable.clock(time, NOW).endswith(f"{time.astimezone(NOW.tzinfo):%H:%M}")
    assert readable.away(time, NOW)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(20, 200))
def test_columns_fit_if_they_can_and_narrow_ones_stay(widths: list[int], total: int) -> None:
    fit = readable.fitting(widths, total)
    assert sum(fit) <= total or max(fit) <= 8
    assert all(narrow <= wide for narrow, wide in zip(fit, widths, strict=True))
    assert sum(widths) > total or fit == widths


def test_a_cut_text_says_so() -> None:
    assert readable.cut("abcdef", 4) == "abc…"
    assert readable.cut("abcd", 4) == "abcd"


def test_a_curve_is_drawn_with_blocks() -> None:
    assert readable.curve([0, 12, 13, 50, 99, 100, 200, -1]) == "▁▁▂▅███▁"
    assert readable.curve([]) == ""
