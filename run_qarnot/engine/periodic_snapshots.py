"""The periodic snapshots that the cluster makes: requested until it has accepted them.

They are requested right after the submission. If that failed, or the process ended in between, the task has none, and
the process that follows it requests them again.
"""

from __future__ import annotations

import asyncio

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.engine.client import Client
from run_qarnot.engine.retry import backoff


class PeriodicSnapshots:
    """The periodic snapshots of one session.

    Arguments:
        client: of the account.
        seconds: between two snapshots; 0 for none.
    """

    def __init__(self, client: Client, seconds: int) -> None:
        self.problem: Message | None = None  # why they could not be requested
        self._client = client
        self._seconds = seconds
        self._is_arranged = (
            False  # each request restarts the interval, so that repeated ones would prevent every snapshot
        )
        self._pauses = backoff()
        self._next = float("-inf")

    async def keep(self, facts: TaskSnapshot) -> None:
        """Request them if the cluster says that the running task has none."""
        now = asyncio.get_running_loop().time()
        if facts.snapshot_seconds != 0 or self._is_arranged:
            self.problem = None
        elif self._seconds and now >= self._next:
            await self._ask(facts)
            self._next = now + next(self._pauses)

    async def _ask(self, facts: TaskSnapshot) -> None:
        try:
            await self._client.snapshot_every(facts, self._seconds)
        except RunQarnotError as error:
            self.problem = error.sentence
        else:
            self._is_arranged, self.problem = True, None
