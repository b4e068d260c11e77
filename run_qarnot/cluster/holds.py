"""Places where tests keep tasks waiting (`control.hold`)."""

from __future__ import annotations

from run_qarnot.cluster.pulse import Pulse

STAGES = {
    "Submitted": "stays in the queue",
    "FullyDispatched": "has its files, does not start",
    "forward": "executes, but its port 22 never opens",
    "app": "what comes through port 22 for its other ports is taken and never answered",
    "snapshot": "snapshots stay InProgress",
    "UploadingResults": "its command ended, its results are not yet uploaded",
    "PendingCancel": "aborted, not yet Cancelled",
}


class Holds:
    """Which stages hold which tasks. Lives on the cluster's event loop."""

    def __init__(self) -> None:
        self.pulse = Pulse()
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

    def listed(self) -> list[dict[str, str | None]]:
        return [{"stage": stage, "task": task} for stage, task in sorted(self._held, key=str)]
