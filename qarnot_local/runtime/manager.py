"""Starts, follows and ends tasks, jobs and pools. All on the cluster's event loop, so nothing is locked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from qarnot_local.runtime import clock, jobs, pools, tasks
from qarnot_local.runtime.clock import Alarm
from qarnot_local.runtime.instance_limit import InstanceLimit
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.node import Site
from qarnot_local.runtime.pool_machine import PoolMachine
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.queue import Queue
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.runtime.record_store import RecordStore
from qarnot_local.runtime.runner import INTERRUPTED, Run
from qarnot_local.runtime.stage_gates import StageGates
from qarnot_local.runtime.tasks import Instance, Task
from qarnot_local.s3.storage import ObjectStorage
from qarnot_local.wire import now, seconds

_CLOSING_SECONDS = 1  # a Node client expects to see a pool closing


class Manager:
    def __init__(
        self,
        storage: ObjectStorage,
        runs_folder: Path,
        state_dir: Path | None,
        credentials: Mapping[str, str],
        quotas: Quotas,
    ) -> None:
        self.storage = storage
        self.quotas = quotas
        self.holds = StageGates()
        self.tasks = RecordStore(Task, state_dir / "tasks" if state_dir else None)
        self.jobs = RecordStore(Job, state_dir / "jobs" if state_dir else None)
        self.pools = RecordStore(Pool, state_dir / "pools" if state_dir else None)
        self.slots = InstanceLimit(quotas)
        self.forgotten_seconds = 0.0  # execution of tasks that are deleted: still counted in the costs
        self._site = Site(storage, self.holds, credentials)
        self._queue = Queue(self.tasks.find, self._has_room, self.holds)
        self._folder = runs_folder
        self._keeps = state_dir is not None
        self._runs: dict[str, Run] = {}
        self._pool_machines: dict[str, PoolMachine] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._alarms: dict[str, Alarm] = {}  # by uuid of a job or of a task

    def resume(self) -> None:
        """Load the state folder after a restart: running tasks become Failure, time limits still apply."""
        for task in self.tasks:
            if task.state == tasks.DELETING:
                self.tasks.remove(task)
                continue
            if not task.is_final:
                _interrupt(task)
                self.tasks.save(task)
            self._forget_later(task)
        for job in self.jobs:
            self._limit(job)
            self._complete(job)
        for pool in self.pools:
            if pool.state == pools.CLOSING:
                self._closed(pool)
            self._let_in(pool)

    async def stop(self) -> None:
        """End every task and wait until its processes and folders are gone."""
        for alarm in self._alarms.values():
            alarm.cancel()
        for run in list(self._runs.values()):
            run.interrupt(keep_results=self._keeps)
        for machine in self._pool_machines.values():
            machine.end()
        await asyncio.gather(*self._lives)

    def is_full(self) -> bool:
        """Whether the account has no room for a task. Finished ones with `autoDeleteOnCompletion` go first (§2.2)."""
        for task in self.tasks:
            if len(self.tasks) >= self.quotas.tasks and task.is_final and task.definition.auto_delete_on_completion:
                self._forget(task)
        return len(self.tasks) >= self.quotas.tasks

    def has_all_jobs(self) -> bool:
        """As `is_full`, for jobs."""
        for job in self.jobs:
            is_done = job.state == jobs.COMPLETED and job.definition.auto_delete_on_completion
            if len(self.jobs) >= self.quotas.jobs and is_done:
                self.jobs.remove(job)
        return len(self.jobs) >= self.quotas.jobs

    def running(self) -> list[Task]:
        """Tasks that left the queue and have not ended."""
        return [task for task in self.tasks if task.admitted and not task.is_final]

    def execution_seconds(self) -> float:
        """Seconds of all tasks, including deleted ones."""
        return self.forgotten_seconds + sum(task.execution_seconds for task in self.tasks)

    def _has_room(self) -> bool:
        """Whether one more instance may execute; a task starts with as many as there is room for."""
        taken = sum(not instance.ended for task in self.running() for instance in task.instances)
        return taken < self.quotas.instances

    def look_again(self) -> None:
        """Check the queue again, after a quota or a hold has changed."""
        self.slots.pulse.beat()
        self.holds.pulse.beat()
        self._queue.look()

    def run_of(self, task: Task) -> Run | None:
        return self._runs.get(task.uuid)

    def submit(self, task: Task) -> None:
        task.defaults = {name: value for name, (value, _) in PROFILES[task.profile].constants.items()}
        if pool := self.pools.find(task.definition.pool_uuid or ""):
            task.defaults |= pool.definition.constant_values
            task.pool_resources = pool.definition.buckets
        task.instances = [Instance(number) for number in task.instance_numbers]
        self.tasks.save(task)
        run = Run(task, self._folder / task.uuid, self._site, self.slots, self.tasks.save)
        self._runs[task.uuid] = run
        self._live(self._follow(run))
        self._queue.add(run)

    def _live(self, life: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(life)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _follow(self, run: Run) -> None:
        await run.live()
        self._runs.pop(run.task.uuid, None)
        self._queue.remove(run)
        if run.deleted:
            self._forget(run.task)
        elif self.tasks.find(run.task.uuid):
            self._forget_later(run.task)
        self._complete(self.jobs.find(run.task.job or ""))
        self._queue.look()

    def _forget(self, task: Task) -> None:
        self.forgotten_seconds += task.execution_seconds
        self.tasks.remove(task)

    def _forget_later(self, task: Task) -> None:
        """Delete a finished task when its `completionTimeToLive` is over; 0 means never."""
        after = seconds(task.definition.completion_time_to_live)
        if after and task.ended:
            self._ring(task.uuid, task.ended + timedelta(seconds=after), lambda: self._forget(task))

    def _ring(self, uuid: str, moment: datetime, ring: Callable[[], object]) -> None:
        self._alarms[uuid] = clock.current().at(moment, ring)

    def _silence(self, uuid: str) -> None:
        if alarm := self._alarms.pop(uuid, None):
            alarm.cancel()

    def delete(self, task: Task) -> None:
        """Forget a task; abort it before if it is running."""
        run = self.run_of(task)
        if run and not task.is_final:
            run.delete()
        else:  # its machines may still be cleaned up
            self._forget(task)
        self._silence(task.uuid)

    def tasks_of(self, owner: Job | Pool) -> list[Task]:
        return [task for task in self.tasks if owner.uuid in {task.job, task.definition.pool_uuid}]

    def add_job(self, job: Job) -> None:
        self.jobs.save(job)
        self._limit(job)

    def _limit(self, job: Job) -> None:
        """Set the alarm for `maxWallTime`."""
        if job.ends and job.state == jobs.ACTIVE:
            self._ring(job.uuid, job.ends, lambda: self.terminate(job))

    def terminate(self, job: Job) -> None:
        """Cancel the tasks of a job; it is completed when the last one has ended."""
        if job.state != jobs.ACTIVE:
            return
        job.move(jobs.TERMINATING)
        self.jobs.save(job)
        self._cancel_all(job)
        self._complete(job)

    def _cancel_all(self, owner: Job | Pool) -> None:
        for task in self.tasks_of(owner):
            if run := self.run_of(task):
                run.cancel()

    def _complete(self, job: Job | None) -> None:
        if not job or job.state != jobs.TERMINATING or any(self.run_of(task) for task in self.tasks_of(job)):
            return
        job.move(jobs.COMPLETED)
        self.jobs.save(job)
        if after := seconds(job.definition.completion_time_to_live):
            self._silence(job.uuid)
            self._ring(job.uuid, now() + timedelta(seconds=after), lambda: self.jobs.remove(job))

    def delete_job(self, job: Job) -> None:
        """Delete a job. Its tasks are aborted, but not deleted."""
        self._cancel_all(job)
        self.jobs.remove(job)
        self._silence(job.uuid)

    def add_pool(self, pool: Pool) -> None:
        self.pools.save(pool)
        self._let_in(pool)

    def _let_in(self, pool: Pool) -> None:
        """Start the SSH machine of a pool whose profile has forwards."""
        if pool.is_open and PROFILES[pool.definition.profile or ""].forwards:
            machine = self._pool_machines[pool.uuid] = PoolMachine(pool, self._folder / pool.uuid)
            self._live(machine.live())

    def _let_out(self, pool: Pool) -> None:
        if machine := self._pool_machines.pop(pool.uuid, None):
            machine.end()

    def close_pool(self, pool: Pool) -> None:
        """Close a pool: it takes no more tasks, and its tasks are aborted."""
        if pool.is_open:
            self._cancel_all(pool)
            self._let_out(pool)
            pool.move(pools.CLOSING)
            self.pools.save(pool)
            self._ring(pool.uuid, now() + timedelta(seconds=_CLOSING_SECONDS), lambda: self._closed(pool))

    def _closed(self, pool: Pool) -> None:
        pool.move(pools.CLOSED)
        self.pools.save(pool)

    def delete_pool(self, pool: Pool) -> None:
        self._cancel_all(pool)
        self._let_out(pool)
        self.pools.remove(pool)
        self._silence(pool.uuid)


def _interrupt(task: Task) -> None:
    """Mark a task as Failure that ran when the cluster ended."""
    task.ended = now()
    for instance in task.instances:
        if instance.dispatched and not instance.ended:
            instance.state, instance.ended = tasks.FAILURE, task.ended
        instance.stopped = instance.stopped or (instance.started and task.ended)
        instance.is_listed, instance.phase, instance.forwards = False, "", []
    task.fail(*INTERRUPTED)
    task.move(tasks.FAILURE)
