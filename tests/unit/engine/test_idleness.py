"""After how long a run is ended when nobody uses it. Anybody on the account may have written the constant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from run_qarnot.cloud.models import read_task
from run_qarnot.core.state import EndReason
from run_qarnot.engine.decide import end_reason
from run_qarnot.engine.idleness import limit_of


@pytest.mark.parametrize(
    ("text", "minutes"), [("60", 60), ("0.5", 0.5), ("0", None), ("", None), ("x", None), ("-1", None), ("inf", None)]
)
def test_the_limit_is_read_from_the_constant(text: str, minutes: float | None) -> None:
    constants = [{"key": "RUN_QARNOT_IDLE_MINUTES", "value": text}]
    assert limit_of(read_task({"uuid": "1", "name": "x", "constants": constants})) == minutes
    assert limit_of(read_task({"uuid": "1", "name": "x"})) is None


def test_a_run_that_ended_by_itself_because_it_was_idle_says_so() -> None:
    facts = read_task({"uuid": "1", "name": "x", "state": "Success"})
    assert end_reason(facts) is EndReason.FINISHED
    assert end_reason(replace(facts, ended_idle=True)) is EndReason.IDLE
    assert end_reason(replace(facts, state="Failure", ended_idle=True)) is EndReason.FAILED
