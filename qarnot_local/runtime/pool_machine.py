"""The machine of a pool on a profile with SSH (§2bis): port 22 with an empty `/job`, while the pool is open."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.environment import task_environment
from qarnot_local.runtime.forwards import Forwards
from qarnot_local.runtime.images import programs
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.task_ports import TaskPorts
from qarnot_local.runtime.tasks import Task
from qarnot_local.ssh.server import Gate, read_keys
from qarnot_local.ssh.shells import Shells


class PoolMachine:
    def __init__(self, pool: Pool, folder: Path) -> None:
        self._pool = pool
        self._folder = folder
        self._over = asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def live(self) -> None:
        """Serve SSH until `end` is called, then remove the folder."""
        job, home = self._folder / "job", self._folder / "home"
        job.mkdir(parents=True)
        (home / "tmp").mkdir(parents=True)
        programs.install(home)
        defaults = {name: value for name, (value, _) in PROFILES[self._pool.definition.profile or ""].constants.items()}
        as_task = Task(TaskDefinition.model_validate(self._pool.definition.model_dump()), defaults)
        shells = Shells(job, task_environment(as_task, 0, job, home))
        own = TaskPorts({}, lambda: shells.pids)
        outside = Forwards(Gate(shells, own), own)
        keys, _ = read_keys(expand(as_task.constants.get("DOCKER_SSH", ""), as_task.constants))
        self._pool.forwards = await outside.open(keys)
        await self._over.wait()
        self._pool.forwards = []
        await outside.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
