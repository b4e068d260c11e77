"""Batches concurrent polls: sessions that poll within the same tick share one request.

Sessions wait for ticks of a common clock (`until_tick`), so that fifty of them poll together, with one request for the
list of all tasks. A single session requests its own task.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import NotFoundError

_GATHER_SECONDS = 0.02

One = Callable[[str, str], Awaitable[TaskSnapshot]]
All = Callable[[], Awaitable[list[TaskSnapshot]]]


class BatchedPoller:
    """Polls tasks for several sessions at once.

    Arguments:
        poll_one: requests one task by id and name; raises NotFoundError.
        poll_all: requests all tasks.
    """

    def __init__(self, poll_one: One, poll_all: All) -> None:
        self._poll_one = poll_one
        self._poll_all = poll_all
        self._wanted: dict[str, tuple[str, asyncio.Future[TaskSnapshot]]] = {}
        self._round: asyncio.Task[None] | None = None

    async def poll(self, task_id: str, name: str) -> TaskSnapshot:
        """Request a task, together with other callers of the same tick.

        Raises:
            NotFoundError: the task does not exist.
            RunQarnotError: the cluster does not answer, or refuses.
        """
        if task_id not in self._wanted:
            self._wanted[task_id] = (name, asyncio.get_running_loop().create_future())
        future = self._wanted[task_id][1]
        if self._round is None:
            self._round = asyncio.get_running_loop().create_task(self._answer())
        return await asyncio.shield(future)

    async def _answer(self) -> None:
        await asyncio.sleep(_GATHER_SECONDS)
        wanted, self._wanted, self._round = self._wanted, {}, None
        try:
            found = await self._fetch(wanted)
        except Exception as error:  # noqa: BLE001  every caller gets it
            for _, future in wanted.values():
                future.set_exception(error)
                future.exception()  # the caller may be cancelled: mark the error as retrieved
            return
        for task_id, (name, future) in wanted.items():
            if task_id in found:
                future.set_result(found[task_id])
            else:
                future.set_exception(NotFoundError("session-unknown", text=name or task_id))
                future.exception()

    async def _fetch(self, wanted: dict[str, tuple[str, asyncio.Future[TaskSnapshot]]]) -> dict[str, TaskSnapshot]:
        found: dict[str, TaskSnapshot] = {}
        if len(wanted) > 1:
            found = {facts.id: facts for facts in await self._poll_all()}
        # The list may be outdated: only a request for the task itself shows that it does not exist.
        for task_id in wanted.keys() - found.keys():
            with contextlib.suppress(NotFoundError):
                found[task_id] = await self._poll_one(task_id, wanted[task_id][0])
        return found


def until_tick(now: float, wait: float) -> float:
    """Return the seconds until the tick that is nearest to `wait` from now. Ticks are multiples of `wait`.

    The result is between 0.5 and 1.5 times `wait`, so that sessions with the same interval synchronize.
    """
    tick = round((now + wait) / wait) * wait
    return max(tick - now, wait / 2)
