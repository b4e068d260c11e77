"""One task's life, from Submitted to its end (`reference/qarnot-platform.md` §2.8), as local processes."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run_qarnot.cluster import tasks
from run_qarnot.cluster.commands import expand
from run_qarnot.cluster.environment import task_environment
from run_qarnot.cluster.images import Start, start_for
from run_qarnot.cluster.processes import Process
from run_qarnot.cluster.profiles import PROFILES
from run_qarnot.cluster.ssh import Gate, read_keys
from run_qarnot.cluster.storage import Storage
from run_qarnot.cluster.tasks import Forward, Task
from run_qarnot.cluster.wire import date, now
from run_qarnot.cluster.workspace import Filters, Workspace

INTERRUPTED = ("LOCAL-RESTART", "The local cluster was stopped while this task was running. Start the task again.")
_log = logging.getLogger(__name__)


class Run:
    """Executes one task. Everything here runs on the cluster's event loop; disk and storage work in threads."""

    def __init__(self, task: Task, folder: Path, storage: Storage, save: Callable[[Task], None]) -> None:
        self.task = task
        self.deleted = False  # to be forgotten once it ended
        self._space = Workspace(folder, storage)
        self._save = save
        self._process: Process | None = None
        self._gate: Gate | None = None
        self._cancelled = False
        self._interrupted = False
        self._keep_results = bool(task.definition["uploadResultsOnCancellation"])
        self._periodic: asyncio.Task[None] | None = None
        self._snapshots: set[asyncio.Task[None]] = set()

    async def live(self) -> None:
        """Go through all states. Whatever happens, the task ends in a final one and leaves nothing behind."""
        try:
            await self._dispatch()
            code = None if self._cancelled else await self._execute()
            await self._settle(code)
        except Exception as error:  # the top of a task's life: it must end in a final state  # noqa: BLE001
            _log.exception("Task %s ended by a fault of the local cluster", self.task.uuid)
            self.task.fail("LOCAL-FAULT", f"The local cluster failed: {error}")
            self._end(tasks.FAILURE)
        finally:
            await self._leave()

    async def _dispatch(self) -> None:
        task = self.task
        task.dispatched = now()
        self._move(tasks.DISPATCHED)
        await asyncio.to_thread(self._space.make)
        await self._fetch()
        task.transferred = now()

    async def _fetch(self) -> None:
        for key in await asyncio.to_thread(self._space.fetch, self.task):
            self.task.stderr.write(f"Local cluster: {key!r} has no possible place in /job and was skipped.\n")

    async def _execute(self) -> int:
        """Run the main command; returns its exit code."""
        task = self.task
        task.phase = "environment"
        try:
            start = start_for(task, self._space.job)
        except ValueError as error:
            task.fail("LOCAL-START", str(error))
            return 1
        environment = {**task_environment(task, self._space.job, self._space.home), **start.environment}
        self._move(tasks.EXECUTING)
        task.stdout.write(start.notice)
        task.started = now()
        self._process = await Process.start(
            start.command, self._folder(), environment, task.stdout.feed, task.stderr.feed
        )
        task.phase = "execution"
        if self._cancelled:
            self._process.end()
        elif PROFILES[task.profile].forwards:
            await self._open_gate(start, environment)
        code = await self._process.wait()
        task.stopped = now()
        await self._close_gate()
        return code

    def _folder(self) -> Path:
        """Where the command starts: DOCKER_WORKDIR below `/job` when it is one, else `/job`."""
        wanted = self.task.constants.get("DOCKER_WORKDIR", "")
        folder = self._space.job / wanted.removeprefix("/job").lstrip("/")
        inside = folder.is_dir() and folder.resolve().is_relative_to(self._space.job.resolve())
        return folder if inside else self._space.job

    async def _open_gate(self, start: Start, environment: dict[str, str]) -> None:
        assert self._process
        keys, bad = read_keys(expand(self.task.constants.get("DOCKER_SSH", ""), self.task.constants))
        if bad:
            self.task.stderr.write(f"Local cluster: {len(bad)} line(s) of DOCKER_SSH are no public keys.\n")
        self._gate = Gate(self._space.job, environment, start.ports, self._process.pid)
        port = await self._gate.open(keys)
        self.task.forwards = [Forward(22, "127.0.0.1", port)]
        self.task.touch()

    async def _close_gate(self) -> None:
        self.task.forwards = []
        if self._gate:
            gate, self._gate = self._gate, None
            await gate.close()

    async def _settle(self, code: int | None) -> None:
        """Upload the results and give the task its final state."""
        task = self.task
        self.watch(0)
        await asyncio.gather(*self._snapshots)
        if not self._cancelled:
            task.phase = "upload"
            self._move(tasks.UPLOADING)
        bucket = task.definition.get("resultBucket")
        if bucket and (not self._cancelled or self._keep_results):
            filters = Filters.of(task, "results")
            task.results |= await asyncio.to_thread(self._space.upload, filters, bucket, "")
        if self._cancelled and not self._interrupted:
            self._end(tasks.CANCELLED)
        elif code == 0 and not task.errors and not self._interrupted:
            self._end(tasks.SUCCESS)
        else:
            if self._interrupted:
                task.fail(*INTERRUPTED)
            elif not task.errors:
                task.fail(
                    "LOCAL-EXIT", f"The command ended with exit code {code}.", task.stderr.aggregate.everything()[-500:]
                )
            self._end(tasks.FAILURE)

    async def _leave(self) -> None:
        """Processes, ports and the folder go."""
        self.watch(0)
        if self._process:
            self._process.end()
            await self._process.wait()
        await self._close_gate()
        await asyncio.to_thread(shutil.rmtree, self._space.folder, ignore_errors=True)

    def cancel(self, state: str = tasks.CANCELLING) -> None:
        """Abort (or, with PendingDelete, abort because it is to be deleted). Returns at once."""
        if self.task.is_final:
            return
        self._cancelled = True
        if self.task.state != state:
            self._move(state)
        if self._process:
            self._process.end()

    def interrupt(self, keep_results: bool) -> None:
        """The cluster stops: not the user's wish, so the task fails, and its results are kept if anything is."""
        if not self._cancelled:
            self._interrupted = True
            self._keep_results = keep_results
            self.cancel()

    async def refresh(self) -> None:
        """Bring new and changed resources into the running task (PATCH, §2.1)."""
        await self._fetch()

    def snapshot(self, request: dict[str, Any], bucket: str) -> dict[str, Any]:
        """Start an instant snapshot; its answer changes while it goes on (§2.6)."""
        task = self.task
        stem = name = f"snap_{task.uuid}_{now():%Y%m%d%H%M%S}"
        while name in task.snapshots:  # two in one second
            name = f"{stem}_{len(task.snapshots)}"
        answer = {
            "id": name,
            "taskUuid": task.uuid,
            "triggerDate": date(now()),
            "lastUpdateDate": date(now()),
            "status": "Triggered",
            "snapshotConfig": {
                "whitelist": request.get("whitelist"),
                "blacklist": request.get("blacklist"),
                "bucket": bucket,
                "bucketPrefix": request.get("bucketPrefix") or "",
            },
            "sizeToUpload": 0,
            "transferredSize": 0,
        }
        task.snapshots[name] = answer
        upload = asyncio.create_task(self._snapshot(answer))
        self._snapshots.add(upload)
        upload.add_done_callback(self._snapshots.discard)
        return answer

    async def _snapshot(self, answer: dict[str, Any]) -> None:
        """Upload what changed now; also what `watch` does at each interval."""
        config = answer["snapshotConfig"]
        answer["status"] = "InProgress"
        filters = Filters.of(self.task, "snapshot", config)
        place = (config["bucket"], config["bucketPrefix"])
        try:
            keys = await asyncio.to_thread(self._space.upload, filters, *place, answer)
        except Exception:  # a bucket name that storage refuses, a full disk  # noqa: BLE001
            _log.warning("A snapshot of task %s failed", self.task.uuid, exc_info=True)
            answer["status"] = "Failure"
        else:
            self.task.results |= keys
            answer["status"] = "Success"
        answer["lastUpdateDate"] = date(now())
        self.task.touch()
        self._save(self.task)

    def watch(self, interval: int, config: dict[str, Any] | None = None) -> None:
        """Take a snapshot every `interval` seconds from now on; 0 stops."""
        if self._periodic:
            self._periodic.cancel()
            self._periodic = None
        if interval and config:
            self._periodic = asyncio.create_task(self._repeat(interval, config))

    async def _repeat(self, interval: int, config: dict[str, Any]) -> None:
        while True:
            await asyncio.sleep(interval)
            if self._process:
                # Shielded: stopping the repetition must not cut an upload in two.
                upload = asyncio.create_task(self._snapshot({"snapshotConfig": config, "transferredSize": 0}))
                self._snapshots.add(upload)
                upload.add_done_callback(self._snapshots.discard)
                await asyncio.shield(upload)

    def _move(self, state: str) -> None:
        # Once it is to be cancelled, a task shows no earlier state again.
        if not self._cancelled or state in {tasks.CANCELLING, tasks.DELETING}:
            self.task.move(state)
            self._save(self.task)

    def _end(self, state: str) -> None:
        self.task.stopped = self.task.stopped or now()
        self.task.ended = now()
        self.task.move(state)
        self._save(self.task)
