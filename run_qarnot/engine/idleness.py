"""Whether a run is idle, and whether it ended because of that, as `bootstrap/idle.py` reports on its machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

from run_qarnot import bootstrap
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.state import EndReason, State
from run_qarnot.engine.access import AppAccess
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.decide import end_reason
from run_qarnot.engine.results import Results
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model import idle

_POLL_SECONDS = 30.0  # between two polls; a sixth of the limit where that is less
_FILE_BYTES = 1 << 16


def limit_of(facts: TaskSnapshot) -> float | None:
    """Return after how many minutes without use a run ends; None if its machine does not measure use."""
    try:
        minutes = float(facts.constants.get(bootstrap.IDLE_MINUTES) or 0)
    except ValueError:
        return None
    return minutes if 0 < minutes < float("inf") else None


async def with_idle_ends(tasks: Sequence[TaskSnapshot], results: Results) -> list[TaskSnapshot]:
    """Return the tasks with `ended_idle` set, if `idle.py` reports that it ended them. The cluster cannot tell.

    Arguments:
        tasks: runs of a session.
        results: in which the report is.
    """
    if not any(map(_may_be_idle_end, tasks)):
        return list(tasks)
    with contextlib.suppress(RunQarnotError):
        found = idle.read(await in_thread(results.head, idle.FILE, _FILE_BYTES))
        ended = found.ended([(task.created, task.ended) for task in tasks])
        return [replace(task, ended_idle=was) for task, was in zip(tasks, ended, strict=True)]
    return list(tasks)


def _may_be_idle_end(task: TaskSnapshot) -> bool:
    return limit_of(task) is not None and end_reason(task) is EndReason.FINISHED


class UseWatch:
    """Asks a run's machine now and then since when nobody uses it, and publishes the answer.

    Arguments:
        state: publishes the session's view.
        access: reaches the machine.
    """

    def __init__(self, state: ViewPublisher, access: AppAccess) -> None:
        self.state = state
        self._access = access
        self._next = 0.0  # on the event loop's clock

    async def poll(self, facts: TaskSnapshot) -> None:
        """Ask, if it is time to."""
        view = self.state.view
        if view.state is State.READY and view.idle_minutes and asyncio.get_running_loop().time() >= self._next:
            self._plan()
            self.state.learn(idle_since=(await self._access.idle()).since_within(facts.created))

    async def keep_on(self) -> None:
        """Make the machine count as used now; errors are those of `AppAccess.keep_on`."""
        await self._access.keep_on()
        self._plan(2)  # the program on the machine needs one interval to see it
        self.state.learn(idle_since=None)

    def _plan(self, intervals: int = 1) -> None:
        seconds = min(_POLL_SECONDS, (self.state.view.idle_minutes or 0) * 10)
        self._next = asyncio.get_running_loop().time() + seconds * intervals
