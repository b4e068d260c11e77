"""Arguments of the control, and routes by pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qarnot_local.control import checks
from qarnot_local.control.faults import ControlError, Fault, Faults, covers


@pytest.mark.parametrize("value", [True, "1", None, -1, float("nan"), 10**16])
def test_what_is_no_number_in_range_is_refused(value: Any) -> None:
    with pytest.raises(ControlError, match="size is a number"):
        checks.number("size", value)


@pytest.mark.parametrize("value", [{"a b": "x"}, {"a": "x\n"}, {"a": 1}, ["a"]])
def test_headers_that_http_cannot_send_are_refused(value: Any) -> None:
    with pytest.raises(ControlError):
        checks.headers(value)
    checks.headers({"Retry-After": "5"})


def test_whole_numbers_and_texts() -> None:
    checks.whole("n", 3)
    checks.text("t", "")
    wrong: tuple[Callable[[], object], ...] = (lambda: checks.whole("n", 1.5), lambda: checks.text("t", 5))
    for check in wrong:
        with pytest.raises(ControlError):
            check()


def test_a_pattern_means_routes_or_one_path() -> None:
    assert covers("/tasks/*/abort", "/tasks/{name}/abort", "/tasks/x/abort")
    assert covers("/tasks/x/abort", "/tasks/{name}/abort", "/tasks/x/abort")
    assert not covers("/tasks/y/abort", "/tasks/{name}/abort", "/tasks/x/abort")
    assert covers("s3:Put*", "s3:PutObject", None)


def test_a_fault_is_met_as_often_as_scripted() -> None:
    faults = Faults()
    faults.know("GET", "/tasks")
    faults.add(Fault("GET", "/tasks", status=500, times=1, skip=1))
    met = [faults.begin("GET", "/tasks", "/tasks")[2] is not None for _ in range(3)]
    assert (met, faults.unused()) == ([False, True, False], [])
    with pytest.raises(ControlError, match="Nearest: /tasks"):
        faults.add(Fault("GET", "/task"))
