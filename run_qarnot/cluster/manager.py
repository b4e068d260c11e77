"""Starts, follows and ends tasks and jobs. Everything here runs on the cluster's event loop, so nothing is locked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from run_qarnot.cluster import jobs, tasks
from run_qarnot.cluster.jobs import Job
from run_qarnot.cluster.profiles import PROFILES
from run_qarnot.cluster.records import Shelf
from run_qarnot.cluster.runner import INTERRUPTED, Run
from run_qarnot.cluster.storage import Storage
from run_qarnot.cluster.tasks import Task
from run_qarnot.cluster.wire import now, seconds

MAX_TASKS = 100
MAX_RUNNING_TASKS = 10
MAX_JOBS = 100


class Manager:
    def __init__(self, storage: Storage, runs_folder: Path, state_dir: Path | None) -> None:
        self.storage = storage
        self.tasks = Shelf(Task, state_dir / "tasks" if state_dir else None)
        self.jobs = Shelf(Job, state_dir / "jobs" if state_dir else None)
        self._folder = runs_folder
        self._keeps = state_dir is not None
        self._runs: dict[str, Run] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}  # by uuid of a job or of a task

    def resume(self) -> None:
        """After a restart with a state folder: what was running is lost, limits still hold."""
        for task in self.tasks:
            if not task.is_final:
                task.forwards = []
                task.stopped = task.ended = now()
                task.fail(*INTERRUPTED)
                task.move(tasks.FAILURE)
                self.tasks.save(task)
            self._forget_later(task)
        for job in self.jobs:
            self._limit(job)

    async def stop(self) -> None:
        """End every task, and wait until nothing of it is left."""
        for timer in self._timers.values():
            timer.cancel()
        for run in list(self._runs.values()):
            run.interrupt(keep_results=self._keeps)
        await asyncio.gather(*self._lives)

    def is_full(self) -> bool:
        """Whether the account holds all the tasks it may; makes room by `autoDeleteOnCompletion` first (§2.2)."""
        for task in self.tasks:
            if len(self.tasks) >= MAX_TASKS and task.is_final and task.definition["autoDeleteOnCompletion"]:
                self.tasks.remove(task)
        return len(self.tasks) >= MAX_TASKS

    def running(self) -> list[Task]:
        return [task for task in self.tasks if not task.is_final]

    def run_of(self, task: Task) -> Run | None:
        return self._runs.get(task.uuid)

    def submit(self, task: Task) -> None:
        task.defaults = {name: value for name, (value, _) in PROFILES[task.profile].constants.items()}
        self.tasks.save(task)
        run = self._runs[task.uuid] = Run(task, self._folder / task.uuid, self.storage, self.tasks.save)
        life = asyncio.create_task(self._follow(run))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)

    async def _follow(self, run: Run) -> None:
        await run.live()
        self._runs.pop(run.task.uuid, None)
        if run.deleted:
            self.tasks.remove(run.task)
        else:
            self._forget_later(run.task)
        self._complete(self.jobs.find(run.task.job or ""))

    def _forget_later(self, task: Task) -> None:
        """Delete a finished task when its `completionTimeToLive` is over; 0 means never."""
        after = seconds(task.definition.get("completionTimeToLive"))
        if after and task.ended:
            delay = after - (now() - task.ended).total_seconds()
            self._timers[task.uuid] = asyncio.get_running_loop().call_later(max(0, delay), self.tasks.remove, task)

    def delete(self, task: Task) -> None:
        """Forget a task; abort it before if it is running."""
        run = self.run_of(task)
        if run:
            run.deleted = True
            run.cancel(tasks.DELETING)
        else:
            self.tasks.remove(task)
        if timer := self._timers.pop(task.uuid, None):
            timer.cancel()

    def tasks_of(self, job: Job) -> list[Task]:
        return [task for task in self.tasks if task.job == job.uuid]

    def add_job(self, job: Job) -> None:
        self.jobs.save(job)
        self._limit(job)

    def _limit(self, job: Job) -> None:
        """Set the alarm for `maxWallTime`."""
        if job.ends and job.state == jobs.ACTIVE:
            delay = max(0, (job.ends - now()).total_seconds())
            self._timers[job.uuid] = asyncio.get_running_loop().call_later(delay, self.terminate, job)

    def terminate(self, job: Job) -> None:
        """Cancel the tasks of a job; it is completed when the last one has ended."""
        if job.state != jobs.ACTIVE:
            return
        job.move(jobs.TERMINATING)
        self.jobs.save(job)
        for task in self.tasks_of(job):
            if run := self.run_of(task):
                run.cancel()
        self._complete(job)

    def _complete(self, job: Job | None) -> None:
        if job and job.state == jobs.TERMINATING and not any(self.run_of(task) for task in self.tasks_of(job)):
            job.move(jobs.COMPLETED)
            self.jobs.save(job)

    def delete_job(self, job: Job) -> None:
        """Forget a job; its tasks are aborted and stay, they are records of their own."""
        for task in self.tasks_of(job):
            if run := self.run_of(task):
                run.cancel()
        self.jobs.remove(job)
        if timer := self._timers.pop(job.uuid, None):
            timer.cancel()
