"""The saves that the cluster makes by itself, again and again: asked for until it makes them.

They are asked for right after the submission. If that was refused, or the process died in between, the task has none:
whoever follows it asks again.
"""

from __future__ import annotations

import asyncio

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.engine.client import Client
from run_qarnot.engine.retry import backoff


class PeriodicSnapshots:
    """The regular saves of one session.

    Arguments:
        client: of the account.
        seconds: between two of them; 0 for none.
    """

    def __init__(self, client: Client, seconds: int) -> None:
        self.problem: Message | None = None  # why there are none though there should be
        self._client = client
        self._seconds = seconds
        self._is_arranged = False  # asked for again and again, their time would begin anew and never be over
        self._pauses = backoff()
        self._next = float("-inf")

    async def keep(self, facts: TaskSnapshot) -> None:
        """Ask for them, if the cluster says that a task which runs has none."""
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
