"""Snapshots of a running task: at once, and periodic (`reference/qarnot-platform.md` §2.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from qarnot_local.runtime import clock
from qarnot_local.runtime.node import Node
from qarnot_local.runtime.stage_gates import StageGates
from qarnot_local.runtime.tasks import Snapshot, SnapshotConfig, Task
from qarnot_local.runtime.workspace import Filters
from qarnot_local.wire import now

_log = logging.getLogger(__name__)


class Snapshots:
    def __init__(self, task: Task, nodes: list[Node], holds: StageGates, save: Callable[[Task], None]) -> None:
        self._task = task
        self._nodes = nodes
        self._holds = holds
        self._save = save
        self._periodic: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._stopping = False

    def take(self, config: SnapshotConfig) -> Snapshot:
        """Start an instant snapshot; the record changes while it goes on."""
        task = self._task
        stem = name = f"snap_{task.uuid}_{now():%Y%m%d%H%M%S}"
        while name in task.snapshots:  # two in one second
            name = f"{stem}_{len(task.snapshots)}"
        snapshot = task.snapshots[name] = Snapshot(name, task.uuid, config)
        self._start(self._upload(snapshot))
        return snapshot

    def repeat(self, interval: int, config: SnapshotConfig | None = None) -> None:
        """Take one every `interval` seconds from now on; 0 stops."""
        if self._periodic:
            self._periodic.cancel()
            self._periodic = None
        if interval and config and not self._stopping:
            self._periodic = asyncio.create_task(self._repeat(interval, config))

    async def stop(self) -> None:
        """No more of them; those under way are waited for, and those held are let go."""
        self._stopping = True
        self.repeat(0)
        self._holds.pulse.beat()
        await asyncio.gather(*self._under_way)

    def _start(self, upload: Coroutine[object, object, None]) -> asyncio.Task[None]:
        started = asyncio.create_task(upload)
        self._under_way.add(started)
        started.add_done_callback(self._under_way.discard)
        return started

    async def _repeat(self, interval: int, config: SnapshotConfig) -> None:
        while True:
            await clock.current().sleep(interval)
            if any(node.is_executing for node in self._nodes):
                # Shielded: stopping the repetition must not cut an upload in two.
                await asyncio.shield(self._start(self._upload(Snapshot("", self._task.uuid, config))))

    async def _upload(self, snapshot: Snapshot) -> None:
        """Upload what changed now, from all machines."""
        snapshot.status = "InProgress"
        await self._holds.stay("snapshot", self._task.uuid, lambda: self._stopping)
        filters = Filters.of(self._task, "snapshot", snapshot.config)
        try:
            for node in self._nodes:
                if node.is_executing:
                    await node.upload(filters, snapshot.config.bucket, snapshot.config.prefix, snapshot)
        except Exception:  # a bucket name that storage refuses, a full disk, a machine taken away  # noqa: BLE001
            _log.info("A snapshot of task %s failed", self._task.uuid, exc_info=True)
            snapshot.status = "Failure"
        else:
            snapshot.status = "Success"
        snapshot.updated = now()
        self._task.touch()
        self._save(self._task)
