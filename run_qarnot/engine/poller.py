"""One look at the cluster serves all sessions that want one at that moment.

Sessions wait for ticks of a common clock (`until_tick`), so that fifty of them ask together; what asks together is
answered by one request for the whole list. One that asks alone costs a request for one task.
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
    """Looks at tasks for several sessions at once.

    Arguments:
        poll_one: asks for one task by id and name; raises NotFoundError.
        poll_all: asks for all tasks.
    """

    def __init__(self, poll_one: One, poll_all: All) -> None:
        self._poll_one = poll_one
        self._poll_all = poll_all
        self._wanted: dict[str, tuple[str, asyncio.Future[TaskSnapshot]]] = {}
        self._round: asyncio.Task[None] | None = None

    async def poll(self, task_id: str, name: str) -> TaskSnapshot:
        """Ask for a task, together with whoever asks at the same moment.

        Raises:
            NotFoundError: it is not there.
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
        except Exception as error:  # noqa: BLE001  it belongs to those who asked
            for _, future in wanted.values():
                future.set_exception(error)
                future.exception()  # who asked may have gone
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
        for task_id in (
            wanted.keys() - found.keys()
        ):  # a list may lag behind: only the task itself tells that it is gone
            with contextlib.suppress(NotFoundError):
                found[task_id] = await self._poll_one(task_id, wanted[task_id][0])
        return found


def until_tick(now: float, wait: float) -> float:
    """Return the seconds to the tick nearest to `wait` from now; ticks are at multiples of `wait`.

    At least half of `wait`, at most one and a half: sessions with the same rhythm fall into step.
    """
    tick = round((now + wait) / wait) * wait
    return max(tick - now, wait / 2)
