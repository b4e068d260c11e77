"""After how long a run is ended when nobody uses it. Anybody on the account may have written the constant."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from run_qarnot.cloud.models import read_task
from run_qarnot.core.state import EndReason, State
from run_qarnot.engine.decide import end_reason
from run_qarnot.engine.idleness import UseWatch, limit_of
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model.idle import Idle
from run_qarnot.model.view import SessionView


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


class Machine:
    """Says since when nobody uses it, and counts how often it is asked."""

    def __init__(self) -> None:
        self.since: datetime | None = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.asked = 0

    async def idle(self) -> Idle:
        self.asked += 1
        return Idle(self.since)

    async def keep_on(self) -> None:
        self.since = None


def test_a_machine_is_asked_now_and_then_while_it_is_ready_and_may_end() -> None:
    async def scene() -> None:
        machine: Any = Machine()
        view = SessionView("1", "x", "base", "jupyterlab", "JupyterLab", State.STARTING, 1, idle_minutes=60)
        state = ViewPublisher(view, lambda *_: None)
        watch, task = UseWatch(state, machine), read_task({"uuid": "1"})
        await watch.poll(task)
        assert machine.asked == 0, "it is not ready"
        state.change(state=State.READY)
        for _ in range(2):
            await watch.poll(task)
        assert machine.asked == 1
        assert state.view.idle_since == machine.since
        await watch.keep_on()
        assert state.view.idle_since is None
        await watch.poll(task)
        assert machine.asked == 1, "the program on it needs time to see it"

    asyncio.run(scene())
