"""Runs one task from Submitted to its final state (`reference/qarnot-platform.md` §2.8), as local processes."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from qarnot_local.runtime import tasks
from qarnot_local.runtime.instance_limit import InstanceLimit
from qarnot_local.runtime.node import Node, Site
from qarnot_local.runtime.peers import Peers
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.snapshots import Snapshots
from qarnot_local.runtime.tasks import Instance, Task
from qarnot_local.runtime.workspace import Filters
from qarnot_local.s3.storage import QuotaError
from qarnot_local.wire import now

INTERRUPTED = ("LOCAL-RESTART", "The local cluster was stopped while this task was running. Start the task again.")
_log = logging.getLogger(__name__)


class Run:
    """Executes one task. Everything here runs on the cluster's event loop; disk and storage work in threads."""

    def __init__(
        self, task: Task, folder: Path, site: Site, slots: InstanceLimit, save: Callable[[Task], None]
    ) -> None:
        self.task = task
        self.deleted = False  # to be forgotten once it ended
        self._share = folder / "share" if PROFILES[task.profile].is_cluster else None
        peers = Peers(self._share) if self._share else None
        first = min((instance.number for instance in task.instances), default=0)
        self.nodes = [
            Node(task, each, folder / str(each.number), site, peers, leads=each.number == first)
            for each in task.instances
        ]
        self.snapshots = Snapshots(task, self.nodes, site.holds, save)
        self._folder = folder
        self._site = site
        self._slots = slots
        self._save = save
        self._let_go = asyncio.Event()  # out of the queue: to start, or to end
        self._cancelled = False
        self._interrupted = False
        self._keep_results = task.definition.upload_results_on_cancellation
        self._shown: str | None = None  # a state that a preemption is told to show meanwhile

    async def live(self) -> None:
        """Go through all states. The task always reaches a final state, and its processes and folders are removed."""
        try:
            await self._let_go.wait()
            await self._site.holds.stay("Submitted", self.task.uuid, lambda: self._cancelled)
            if self._share:
                await asyncio.to_thread(self._share.mkdir, 0o700, parents=True)
            if self.task.admitted and not self._cancelled:
                await asyncio.gather(*(self._live_through(node) for node in self.nodes))
            await self._settle()
        except Exception as error:  # the task must reach a final state  # noqa: BLE001
            _log.exception("Task %s ended by a fault of the local cluster", self.task.uuid)
            self.task.fail("LOCAL-FAULT", f"The local cluster failed: {error}")
            self._end(tasks.FAILURE)
        finally:
            await self._leave()

    @property
    def is_waiting(self) -> bool:
        return not self._let_go.is_set()

    def admit(self) -> None:
        """Let the task start; called by the queue."""
        self.task.admitted = now()
        self._let_go.set()

    def give_up(self, code: str, message: str) -> None:
        """Fail the task before it starts; called by the queue."""
        if self.is_waiting:
            self.task.fail(code, message)
            self._let_go.set()

    async def _live_through(self, node: Node) -> None:
        """All attempts of one instance, and the upload of its results."""
        async with self._slots.one():
            code = await self._attempts(node)
            if code is not None:
                await self._finish(node, code)

    async def _attempts(self, node: Node) -> int | None:
        """The exit code of the last attempt; None when the command never started."""
        while not self._cancelled:
            await self._dispatch(node)
            may_start = not (node.instance.error or node.preempted or self._cancelled)
            start = node.plan() if may_start else None
            if node.instance.error or self._cancelled:
                return 1 if node.instance.error else None
            code = -1
            if start:
                node.instance.is_listed = True
                self._shown = None
                self._show_state()
                code = await node.execute(start)
            if self._cancelled or not (node.preempted or (code and self._may_retry(node.instance))):
                return code
            await node.renew()
        return None

    async def _dispatch(self, node: Node) -> None:
        node.instance.dispatched = now()
        self._show_state()
        await node.prepare()

    def _may_retry(self, instance: Instance) -> bool:
        """Nothing or 0 is no retry; of the two limits, the stricter one counts (§2.2)."""
        settings = self.task.definition.retry_settings
        each, total = settings.max_per_instance_retries, settings.max_total_retries
        each = self.task.definition.max_retries_per_instance or None if each is None else each
        if each is None and total is None:
            return False
        used = self.task.retries.get(str(instance.number), 0)
        may = (each is None or used < each) and (total is None or sum(self.task.retries.values()) < total)
        if may:
            self.task.retries[str(instance.number)] = used + 1
        return may

    def _show_state(self) -> None:
        """The state that follows from those of the instances (§2.4bis)."""
        states = self.task.instances
        dispatched = sum(each.dispatched is not None or each.has_started for each in states)
        executing = sum(each.is_listed or each.has_started for each in states)
        if self._shown:
            state = self._shown
        elif executing:
            state = tasks.EXECUTING if executing == len(states) else tasks.PARTLY_EXECUTING
        else:
            state = tasks.DISPATCHED if dispatched == len(states) else tasks.PARTLY_DISPATCHED
        if state != self.task.state:
            self._move(state)

    async def _finish(self, node: Node, code: int) -> None:
        """Upload the results of an instance that has ended."""
        task, instance = self.task, node.instance
        instance.phase = "upload"
        if all(each.ended or each.phase == "upload" for each in task.instances):
            await self.snapshots.stop()
            self._move(tasks.UPLOADING)
        await self._site.holds.stay("UploadingResults", task.uuid, lambda: self._cancelled)
        bucket = task.definition.result_bucket
        if bucket and (not self._cancelled or self._keep_results):
            await self._upload(node, bucket)
        if code and not instance.error and not self._cancelled:
            tail = task.stderr.instances.get(instance.number)
            debug = tail.everything()[-500:] if tail else ""
            instance.error = task.fail("LOCAL-EXIT", _reason(code), debug)
        instance.state = tasks.CANCELLED if self._cancelled else tasks.FAILURE if instance.error else tasks.SUCCESS
        instance.ended, instance.phase, instance.is_listed = now(), "", False
        task.touch()

    async def _upload(self, node: Node, bucket: str) -> None:
        try:
            prefix = self.task.definition.results_bucket_prefix or ""
            await node.upload(Filters.of(self.task, "results"), bucket, prefix)
        except QuotaError as error:
            node.instance.error = self.task.fail("LOCAL-UPLOAD", f"The results could not be uploaded: {error}")

    async def _settle(self) -> None:
        """Give the task its final state."""
        task = self.task
        await self.snapshots.stop()
        if self._cancelled:
            await self._site.holds.stay("PendingCancel", task.uuid, lambda: self._interrupted)
        if self._cancelled and not self._interrupted:
            self._end(tasks.CANCELLED)
            return
        if self._interrupted:
            task.fail(*INTERRUPTED)
        self._end(tasks.FAILURE if task.errors else tasks.SUCCESS)

    async def _leave(self) -> None:
        """End the processes, close the ports, remove the folder."""
        await self.snapshots.stop()
        await asyncio.gather(*(node.leave() for node in self.nodes))
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def delete(self) -> None:
        """Abort it, to be forgotten once it ended: until then it is seen as PendingDelete. Returns at once."""
        self.deleted = True
        self.cancel()

    def cancel(self) -> None:
        """Abort. Returns at once."""
        if self.task.is_final:
            return
        self._cancelled = True
        state = tasks.DELETING if self.deleted else tasks.CANCELLING
        if self.task.state != state:
            self._move(state)
        self._let_go.set()
        for node in self.nodes:
            node.end()

    def interrupt(self, keep_results: bool) -> None:
        """End the task because the cluster stops: it fails. Its results are uploaded if the cluster keeps its state."""
        self._interrupted = not self._cancelled
        if self._interrupted:
            self._keep_results = keep_results
            self.cancel()
        self._interrupted = True
        self._site.holds.pulse.beat()

    def preempt(self, numbers: set[int] | None = None, state: str | None = None) -> int:
        """Take machines away (all, or of some instances); returns how many. `state` is shown until they are back."""
        taken = [
            node for node in self.nodes if node.has_machine and (numbers is None or node.instance.number in numbers)
        ]
        for node in taken:
            node.preempt()
        if taken and state:
            self._shown = state
            self._show_state()
        return len(taken)

    async def refresh(self) -> None:
        """Bring new and changed resources into the running task (PATCH, §2.1)."""
        await asyncio.gather(*(node.fetch() for node in self.nodes if node.is_executing))

    def _move(self, state: str) -> None:
        # Once it is to be cancelled, a task shows no earlier state again.
        if not self._cancelled or state in {tasks.CANCELLING, tasks.DELETING}:
            self.task.move(state)
            self._save(self.task)

    def _end(self, state: str) -> None:
        self.task.ended = now()
        for instance in self.task.instances:
            if instance.dispatched and instance.state is None:
                instance.state, instance.ended = state, self.task.ended
            instance.stopped = instance.stopped or (instance.started and now())
            instance.is_listed, instance.phase, instance.forwards = False, "", []
        if not self.deleted:
            self.task.move(state)
        self._save(self.task)


def _reason(code: int) -> str:
    if code < 0:
        return (
            f"Signal {-code} ended the program that holds the processes of the task together, so all of them were "
            "ended. The task may have sent it itself, or this machine was out of memory."
        )
    return f"The command ended with exit code {code}."
