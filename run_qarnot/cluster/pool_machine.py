"""The machine of a pool that people visit (§2bis): port 22 of an empty folder, as long as the pool is open."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from run_qarnot.cluster.commands import expand
from run_qarnot.cluster.environment import task_environment
from run_qarnot.cluster.outside import Outside
from run_qarnot.cluster.own_ports import OwnPorts
from run_qarnot.cluster.pools import Pool
from run_qarnot.cluster.profiles import PROFILES
from run_qarnot.cluster.shells import Shells
from run_qarnot.cluster.ssh import Gate, read_keys
from run_qarnot.cluster.tasks import Task


class PoolMachine:
    def __init__(self, pool: Pool, folder: Path) -> None:
        self._pool = pool
        self._folder = folder
        self._over = asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def live(self) -> None:
        """Until `end`. Nothing is left behind."""
        job, home = self._folder / "job", self._folder / "home"
        job.mkdir(parents=True)
        (home / "tmp").mkdir(parents=True)
        defaults = {name: value for name, (value, _) in PROFILES[self._pool.definition["profile"]].constants.items()}
        as_task = Task(self._pool.definition, defaults)
        shells = Shells(job, task_environment(as_task, 0, job, home))
        own = OwnPorts({}, lambda: shells.pids)
        outside = Outside(Gate(shells, own), own)
        keys, _ = read_keys(expand(as_task.constants.get("DOCKER_SSH", ""), as_task.constants))
        self._pool.forwards = await outside.open(keys)
        await self._over.wait()
        self._pool.forwards = []
        await outside.close()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
