"""Submitted tasks that wait: for their dependencies, for room, or for a test to release them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from qarnot_local.runtime import clock, dependencies
from qarnot_local.runtime.clock import Alarm
from qarnot_local.runtime.runner import Run
from qarnot_local.runtime.stage_gates import StageGates
from qarnot_local.runtime.tasks import Task

TOO_LATE = ("LOCAL-QUEUE", "The task waited longer than its maxTimeQueueSeconds.")
HOPELESS = ("LOCAL-DEPENDENCY", "A task that this one depends on did not end as it should.")


class Queue:
    """First come, first served among those that may start."""

    def __init__(self, find: Callable[[str], Task | None], has_room: Callable[[], bool], holds: StageGates) -> None:
        self._find = find
        self._has_room = has_room
        self._holds = holds
        self._waiting: dict[Run, Alarm | None] = {}

    def add(self, run: Run) -> None:
        limit = run.task.definition.max_time_queue_seconds
        moment = run.task.created + timedelta(seconds=limit or 0)
        self._waiting[run] = clock.current().at(moment, lambda: run.give_up(*TOO_LATE)) if limit else None
        self.look()

    def remove(self, run: Run) -> None:
        if alarm := self._waiting.pop(run, None):
            alarm.cancel()

    def look(self) -> None:
        """Let those start that may. Called whenever something changed."""
        for run in list(self._waiting):
            state = dependencies.answer(run.task, self._find)["state"]
            if not run.is_waiting:
                self.remove(run)
            elif state == dependencies.NOT_FULFILLED:
                self.remove(run)
                run.give_up(*HOPELESS)
            elif state == dependencies.FULFILLED and self._may(run):
                self.remove(run)
                run.admit()

    def _may(self, run: Run) -> bool:
        return self._has_room() and not self._holds.holds("Submitted", run.task.uuid)
