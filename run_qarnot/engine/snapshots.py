"""Saves a session: requests a snapshot and waits until the cluster reports that it is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import SessionError
from run_qarnot.core.messages import Message
from run_qarnot.engine.client import Client
from run_qarnot.engine.retry import retrying

_POLL_SECONDS = 3.0
_LONGEST_WAIT = 3.0


async def take_snapshot(
    client: Client,
    facts: TaskSnapshot,
    tell: Callable[[Message], None],
    is_still_there: Callable[[], Awaitable[bool]],
) -> None:
    """Take a snapshot of a task's results.

    Arguments:
        client: of the account.
        facts: of the task.
        tell: called when the cluster does not answer.
        is_still_there: called now and then; the snapshot of a machine that is gone never completes.

    Raises:
        SessionError: the snapshot failed.
        RunQarnotError: the cluster does not answer, or refuses.
    """
    loop = asyncio.get_running_loop()
    snapshot = await retrying(tell, client.snapshot, facts)
    polled, wait = loop.time(), 0.2
    while (status := await retrying(tell, client.snapshot_status, facts, snapshot)) != "success":
        if status == "failure":
            raise SessionError("save-failed", name=facts.name, message=Message("snapshot-failed"))
        if loop.time() > polled + _POLL_SECONDS:
            polled = loop.time()
            if not await is_still_there():
                raise SessionError("save-failed", name=facts.name, message=Message("machine-gone"))
        await asyncio.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT)
