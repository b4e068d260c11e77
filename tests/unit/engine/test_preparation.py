"""Of several starts by one name, one goes on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.models import read_task
from run_qarnot.engine.preparation import is_first
from run_qarnot.engine.sizes import size


def task(task_id: str, created: str | None) -> Any:
    return read_task({"uuid": task_id, "name": "x", "creationDate": created})


ids = st.lists(st.uuids().map(str), min_size=1, max_size=5, unique=True)


@given(ids, st.data())
def test_of_several_starts_exactly_one_is_the_first_also_of_those_of_one_moment(
    ids: list[str], data: st.DataObject
) -> None:
    moments = st.integers(0, 2).map(lambda second: f"2026-03-02T09:00:0{second}Z")
    tasks = [task(each, data.draw(moments)) for each in ids]
    (first,) = (each for each in tasks if is_first(each, [other for other in tasks if other is not each]))
    assert first.created == min(each.created for each in tasks)


def test_who_cannot_tell_whether_it_was_the_first_gives_way() -> None:
    known, unknown = task("1", "2026-03-02T09:00:00Z"), task("2", None)
    assert not is_first(known, [unknown])
    assert not is_first(unknown, [known])
    assert is_first(unknown, [])


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_949, "99.9 kB"), (100_000, "100 kB"), (1e6, "1.0 MB"),
     (2.5e9, "2.5 GB"), (1e12, "1.0 TB"), (1.5e15, "1500.0 TB")],
)  # fmt: skip
def test_sizes_are_written_for_people(count: float, text: str) -> None:
    assert str(size(count)) == text
