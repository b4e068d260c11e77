"""One instance of a task on its machine. A preemption or a retry gives it the next machine (§2.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.environment import task_environment
from qarnot_local.runtime.forwards import Forwards
from qarnot_local.runtime.images.adapter import InstancePlace, Start
from qarnot_local.runtime.images.adapters import start_for
from qarnot_local.runtime.network_rules import inbound
from qarnot_local.runtime.peers import Peers
from qarnot_local.runtime.processes import Process
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.stage_gates import StageGates
from qarnot_local.runtime.task_ports import TaskPorts
from qarnot_local.runtime.tasks import Instance, Snapshot, Task
from qarnot_local.runtime.workspace import Filters, MissingBucketError, Workspace
from qarnot_local.s3.storage import ObjectStorage
from qarnot_local.ssh.server import Gate, read_keys
from qarnot_local.ssh.shells import Shells
from qarnot_local.wire import now


@dataclass(frozen=True)
class Site:
    """Services that all machines of the cluster share."""

    storage: ObjectStorage
    holds: StageGates
    credentials: Mapping[str, str]  # for tasks with the privilege to see them


class Node:
    """Runs one instance. All methods belong to the cluster's event loop; disk and storage access runs in threads."""

    def __init__(
        self,
        task: Task,
        instance: Instance,
        folder: Path,
        site: Site,
        peers: Peers | None = None,
        *,
        leads: bool = True,
    ) -> None:
        """Make the node.

        Arguments:
            task: that it runs an instance of.
            instance: the record.
            folder: for this machine alone.
            site: what all machines share.
            peers: the machines of the run, on a cluster profile.
            leads: it is the first instance, to which the forward of a cluster leads.
        """
        self.instance = instance
        self._peers = peers
        self._leads = leads
        self.preempted = False  # this attempt's machine was taken away
        self._task = task
        task.stdout.is_shared = task.stderr.is_shared = len(task.instances) > 1
        self._folder = folder
        self._site = site
        self._space = Workspace(folder, site.storage)
        self._process: Process | None = None
        self._outside: Forwards | None = None
        self._opening: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def is_executing(self) -> bool:
        return self.instance.started is not None and self.instance.stopped is None

    @property
    def has_machine(self) -> bool:
        """Whether the instance holds a machine: it executes, or is being prepared."""
        return self.instance.dispatched is not None and self.instance.stopped is None

    async def prepare(self) -> None:
        """Make the folders and download the resources."""
        instance = self.instance
        instance.phase, instance.dispatched = "download", now()
        await asyncio.to_thread(self._space.make)
        try:
            await self.fetch()
        except MissingBucketError as error:
            instance.error = self._task.fail("LOCAL-RESOURCES", f"{error}. It was deleted after the task's submission.")
            return
        instance.transferred = now()
        await self._held("FullyDispatched")

    async def fetch(self) -> None:
        for key in await asyncio.to_thread(self._space.fetch, self._task):
            text = f"Local cluster: {key!r} has no possible place in /job and was skipped.\n"
            self._task.stderr.write(text, self.instance.number)

    async def _held(self, stage: str) -> None:
        await self._site.holds.stay(stage, self._task.uuid, lambda: self._ended or self.preempted)

    def plan(self) -> Start | None:
        """Return how to start the task; None if it cannot be started, with the reason in the instance's error."""
        self.instance.phase = "environment"
        try:
            place = InstancePlace(self._space.job)
            if self._peers:
                place = InstancePlace(self._space.job, self._peers.share, self._peers.join(self.instance.number))
            return start_for(self._task, self.instance.number, place)
        except ValueError as error:
            self.instance.error = self._task.fail("LOCAL-START", str(error))
            return None

    async def execute(self, start: Start) -> int:
        """Run the main command and return its exit code. Call it right after the state became FullyExecuting."""
        task, instance, number = self._task, self.instance, self.instance.number
        environment = {**self._environment(), **start.environment}
        task.stdout.write(start.notice, number)
        instance.is_listed, instance.started = True, now()
        self._process = await Process.start(
            start.command,
            self._start_folder(),
            environment,
            lambda data: task.stdout.feed(data, number),
            lambda data: task.stderr.feed(data, number),
        )
        instance.phase = "execution"
        if self._ended:
            self._process.end()
        elif self.preempted:
            self._process.kill()
        else:
            self._opening = asyncio.create_task(self._open(start, environment))
        code = await self._process.wait()
        task.stdout.flush(number)
        task.stderr.flush(number)
        instance.stopped = now()
        instance.phase = "shutdown"
        await self._close()
        return code

    def _environment(self) -> dict[str, str]:
        exports = self._task.definition.privileges.export_api_and_storage_credentials_in_environment
        own = task_environment(self._task, self.instance.number, self._space.job, self._space.home)
        return {**own, **self._site.credentials} if exports else own

    def _start_folder(self) -> Path:
        """Return the working directory: DOCKER_WORKDIR if it is a folder below `/job`, else `/job`."""
        wanted = self._task.constants.get("DOCKER_WORKDIR", "")
        folder = self._space.job / wanted.removeprefix("/job").lstrip("/")
        inside = folder.is_dir() and folder.resolve().is_relative_to(self._space.job.resolve())
        return folder if inside else self._space.job

    async def _open(self, start: Start, environment: dict[str, str]) -> None:
        """Open the forwards. Ports and host key are new at each attempt (§8)."""
        has_ssh = PROFILES[self._task.profile].forwards and (self._leads or not self._peers)
        rules = inbound(self._task.definition.forced_network_rules)
        if not has_ssh and not rules:
            return
        await self._held("forward")
        assert self._process
        holds, uuid, main_pid = self._site.holds, self._task.uuid, self._process.pid
        shells = Shells(self._space.job, environment)
        own = TaskPorts(start.ports, lambda: [main_pid, *shells.pids])
        gate = Gate(shells, own, lambda: holds.holds("app", uuid)) if has_ssh else None
        self._outside = Forwards(gate, own, rules)
        forwards = await self._outside.open(self._keys())
        if self.is_executing:
            self.instance.forwards = forwards
            self._task.touch()

    def _keys(self) -> list[str]:
        keys, bad = read_keys(expand(self._task.constants.get("DOCKER_SSH", ""), self._task.constants))
        if bad:
            text = f"Local cluster: {len(bad)} line(s) of DOCKER_SSH are no public keys.\n"
            self._task.stderr.write(text, self.instance.number)
        return keys

    async def _close(self) -> None:
        self.instance.forwards = []
        if self._peers:
            self._peers.leave(self.instance.number)
        if self._opening:
            self._site.holds.pulse.beat()
            self._opening.cancel()
            await asyncio.wait({self._opening})
            self._opening = None
        if self._outside:
            outside, self._outside = self._outside, None
            await outside.close()

    async def upload(self, filters: Filters, bucket: str, prefix: str, progress: Snapshot | None = None) -> None:
        """Upload the files that changed.

        Raises:
            InterruptedError: the machine was preempted during the upload.
        """
        attempt = self.instance.attempt
        keys = await asyncio.to_thread(self._space.upload, filters, bucket, prefix, progress)
        if self.instance.attempt != attempt or self.preempted:
            raise InterruptedError("The machine went away during the upload")
        if bucket == self._task.definition.result_bucket:  # elsewhere, they are no results that a client would fetch
            self.instance.results |= keys
            self._task.results |= keys

    def end(self) -> None:
        """Ask the processes to end, with a grace period. Returns at once."""
        self._ended = True
        self._site.holds.pulse.beat()
        if self._process:
            self._process.end()

    def preempt(self) -> None:
        """Kill the processes and drop the machine. Returns at once; `renew` prepares the next attempt."""
        self.preempted = True
        self._task.touch()
        self.instance.forwards = []
        self._site.holds.pulse.beat()
        if self._process:
            self._process.kill()

    async def renew(self) -> None:
        """Prepare the next attempt, on a machine without any file of the last one (§3.3)."""
        await self.leave()
        self.instance.leave_machine()
        self.preempted = False
        self._space = Workspace(self._folder, self._site.storage)
        self._process = None

    async def leave(self) -> None:
        """End the processes, close the forwards and remove the folder."""
        if self._process:
            self._process.end()
            await self._process.wait()
        await self._close()
        await asyncio.to_thread(self._space.remove)
