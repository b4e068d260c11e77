"""From a plan to a submitted task: buckets, uploads, the job that limits the time, the task.

Each thing is written down the moment it exists, so that trying again goes on where it stopped, and an answer that got
lost makes nothing twice.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from run_qarnot.cloud.facts import TaskFacts
from run_qarnot.cloud.storage import Storage
from run_qarnot.engine.patience import patiently
from run_qarnot.errors import RunQarnotError, SessionError, TransferError, UnreachableError
from run_qarnot.files import Upload
from run_qarnot.plan import TaskPlan

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

Tell = Callable[[str], None]


class Preparation:
    """What has to be done before a session is on the cluster.

    Arguments:
        account: where.
        plan: what.
        uploads: the user's files.
        tell: told, in sentences, what is being done.
    """

    def __init__(self, account: Account, plan: TaskPlan, uploads: Sequence[Upload], tell: Tell) -> None:
        self._account = account
        self._cloud = account.cloud
        self._plan = plan
        self._uploads = uploads
        self._tell = tell
        self._job: str | None = None
        self._given_up = threading.Event()

    @property
    def given_up(self) -> bool:
        return self._given_up.is_set()

    def give_up(self) -> None:
        """Stop as soon as possible; nothing is submitted any more."""
        self._given_up.set()

    async def submit(self) -> TaskFacts:
        """Do all of it; return the first look at the task.

        Raises:
            RunQarnotError: it cannot be done; what is uploaded stays, nothing runs.
        """
        self._tell("Making the buckets…")
        for bucket in (self._plan.inputs, self._plan.results):
            await patiently(lambda bucket=bucket: asyncio.to_thread(self._cloud.storage.create, bucket), self._tell)  # type: ignore[misc]
        await upload(self._cloud.storage, self._plan.inputs, self._uploads, self._tell, self._given_up)
        if self.given_up:
            raise SessionError("given-up", name=self._plan.name)
        self._tell("Asking the cluster for a machine…")
        # Not to be broken off: whoever is told that it was given up must be able to rely on nothing running.
        return await asyncio.shield(self._submit())

    async def _submit(self) -> TaskFacts:
        call, plan = self._account.call, self._plan
        self._job = await patiently(lambda: call(self._cloud.make_job, plan), self._tell)
        try:
            return await patiently(lambda: call(self._cloud.make_task, plan, self._job), self._tell)
        except UnreachableError:
            raise  # perhaps it runs: its job must stay, because it limits its time
        except RunQarnotError:
            await call(self._cloud.drop_job, self._job)
            raise


async def upload(
    storage: Storage, bucket: str, uploads: Sequence[Upload], tell: Tell, given_up: threading.Event | None = None
) -> None:
    """Upload files, telling how many bytes have arrived.

    Raises:
        TransferError: a file could not be moved, or it was given up.
    """
    if not uploads:
        return
    loop, moved, total = asyncio.get_running_loop(), 0, sum(upload.path.stat().st_size for upload in uploads)
    gone = threading.Event()

    def progress(count: int) -> None:  # called in the storage's threads
        if gone.is_set() or (given_up is not None and given_up.is_set()):
            raise TransferError("upload", name=bucket, problem="it was given up")
        loop.call_soon_threadsafe(add, count)

    def add(count: int) -> None:
        nonlocal moved
        moved += count
        if not gone.is_set():
            tell(f"Uploading {len(uploads)} file(s): {size(moved)} of {size(total)}")

    add(0)
    try:
        await asyncio.to_thread(storage.upload, bucket, uploads, progress)
    finally:
        gone.set()


def size(count: float) -> str:
    """Return a number of bytes for people, in units of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
