"""Stages at which tasks wait: as long as in the cloud (`pace`), or as long as a test wants (`control.hold`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from qarnot_local.runtime import clock
from qarnot_local.runtime.change_signal import ChangeSignal

STAGES = {
    "Submitted": "stays in the queue",
    "FullyDispatched": "has its files, does not start",
    "forward": "executes, but its port 22 never opens",
    "app": "what comes through port 22 for its other ports is taken and never answered",
    "snapshot": "snapshots stay InProgress",
    "UploadingResults": "its command ended, its results are not yet uploaded",
    "PendingCancel": "aborted, not yet Cancelled",
}
# Seconds on Qarnot, from bodies of real answers (`reference/qarnot-platform.md` §2.4bis, §2.8).
REALISTIC = {"Submitted": 5, "FullyDispatched": 90, "forward": 10, "UploadingResults": 8, "PendingCancel": 4}


class StageGates:
    """Which stages hold which tasks. For the cluster's event loop only."""

    def __init__(self) -> None:
        self.pulse = ChangeSignal()
        self.pace: Mapping[str, float] = {}  # seconds of the cluster's clock that a stage takes, beside its work
        self._held: set[tuple[str, str | None]] = set()  # (stage, uuid of a task, or None for all)

    def hold(self, stage: str, task: str | None) -> None:
        self._held.add((stage, task))

    def release(self, stage: str | None, task: str | None) -> None:
        """Let go: without a stage all of them, without a task all tasks."""
        self._held = {
            (held, whom) for held, whom in self._held if stage not in {None, held} or task not in {None, whom}
        }
        self.pulse.beat()

    def holds(self, stage: str, task: str) -> bool:
        return bool(self._held & {(stage, task), (stage, None)})

    async def stay(self, stage: str, task: str, given_up: Callable[[], bool]) -> None:
        """Keep a task at a stage: for the time that it takes, and while it is held; or until `given_up()`.

        Code that changes the result of `given_up` must call `pulse.beat()`.
        """
        over = not self.pace.get(stage)

        def end() -> None:
            nonlocal over
            over = True
            self.pulse.beat()

        time = clock.current()
        alarm = None if over else time.at(time.now() + timedelta(seconds=self.pace[stage]), end)
        try:
            await self.pulse.until(lambda: given_up() or (over and not self.holds(stage, task)))
        finally:
            if alarm:
                alarm.cancel()

    def listed(self) -> list[dict[str, str | None]]:
        return [{"stage": stage, "task": task} for stage, task in sorted(self._held, key=str)]
