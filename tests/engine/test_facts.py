"""The wire's JSON, in whatever shape it comes, is read without an exception."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.facts import read_task, read_time

FIELDS = ["uuid", "name", "state", "creationDate", "endDate", "constants", "labels", "status", "errors", "resultBucket"]


@given(st.dictionaries(st.sampled_from(FIELDS), st.none()))
def test_a_null_is_never_an_exception(body):
    assert read_task(body).state == ""


def test_times_of_all_shapes():
    assert read_time("2026-03-02T09:15:00Z") == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    assert read_time("2026-03-02T09:15:00.123456Z").microsecond == 123456
    assert read_time("0001-01-01T00:00:00Z") is None
    assert read_time(None) is None
    assert read_time("soon") is None


def test_constants_that_arrive_as_numbers_are_text():
    assert read_task({"constants": [{"key": "N", "value": 26}]}).constants == {"N": "26"}
