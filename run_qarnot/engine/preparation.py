"""Turns a plan into a submitted task: buckets, uploads, the job that limits the time, the task.

Each step finds what an earlier attempt created, so that a retry continues and a lost answer creates nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from run_qarnot import bootstrap
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import InputError, RunQarnotError, SessionError, TransferError, UnreachableError
from run_qarnot.core.messages import Message
from run_qarnot.core.names import is_bucket_of
from run_qarnot.core.state import FINAL, observed_state
from run_qarnot.engine.client import AsyncStorage, Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.results import Results
from run_qarnot.engine.retry import retrying
from run_qarnot.engine.session_state import Tell
from run_qarnot.engine.sizes import size
from run_qarnot.engine.web_input import bring
from run_qarnot.model.files import StoredCopy, Upload
from run_qarnot.model.plan import TaskPlan
from run_qarnot.model.web_file import WebFile

_TELL_SECONDS = 1.0

log = logging.getLogger(__name__)


class Preparation:
    """The steps from a plan to a submitted task.

    Arguments:
        client: of the account.
        plan: of the run.
        uploads: the user's files.
        tell: told what is being done.
        copies: files of another session, which this one begins with; of those with one name the user's win.
        ended: when the run before ended, if there was one.
        web: the user's files of the web.
    """

    def __init__(
        self,
        client: Client,
        plan: TaskPlan,
        uploads: Sequence[Upload],
        tell: Tell,
        copies: Sequence[StoredCopy] = (),
        ended: datetime | None = None,
        web: Sequence[WebFile] = (),
    ) -> None:
        self._client = client
        self.plan = plan
        self._uploads = uploads
        self._web = web
        uploaded = {upload.key for upload in uploads} | {file.key for file in web}
        self._copies = [copy for copy in copies if copy.file.key not in uploaded]
        self._ended = ended
        self._tell = tell
        self._given_up = threading.Event()

    @property
    def given_up(self) -> bool:
        return self._given_up.is_set()

    def give_up(self) -> None:
        """Stop as soon as possible; nothing will be submitted."""
        self._given_up.set()

    async def prepare(self) -> None:
        """Create the buckets and upload the files.

        Raises:
            RunQarnotError: a step failed, or it was given up; uploaded files are kept.
        """
        self._tell(self._making())
        for bucket in (self.plan.inputs, self.plan.results):
            await retrying(self._tell, self._client.storage.create, bucket, self.plan.name)
        scripts, files = (
            [each for each in self._uploads if (each.key in bootstrap.KEYS) is ours] for ours in (True, False)
        )
        storage, inputs = self._client.storage, self.plan.inputs
        await copy(storage, inputs, self._copies, self._tell, self._given_up)
        # An interrupted start may have left the scripts of an older version.
        await upload(storage, inputs, scripts, self._tell, self._given_up, replace=True)
        try:
            await upload(storage, inputs, files, self._tell, self._given_up)
            await bring(storage, inputs, self._web, self._tell, self._given_up.is_set)
        except InputError as error:
            if error.code != "input-exists":
                raise
            raise InputError("bucket-differs", field="name", name=error.facts["name"], bucket=inputs) from error
        if not self.plan.is_first:
            results = Results(storage, self.plan.results)
            await in_thread(results.prefer_uploads, inputs, self._ended)
        if self.given_up:
            raise SessionError("given-up", name=self.plan.name)

    def _making(self) -> Message:
        """Describe the step; name the buckets if they do not have the usual names."""
        wanted = TaskPlan.bucket_names(self.plan.name)
        for expected, bucket in zip(wanted, (self.plan.inputs, self.plan.results), strict=True):
            if bucket != expected and is_bucket_of(self.plan.name, bucket):
                return Message("making-other-bucket", expected=expected, bucket=bucket)
        return Message("making-buckets")

    async def submit(self) -> TaskSnapshot:
        """Create the job and the task; return its first snapshot. Do not cancel this: only its result says what runs.

        Raises:
            RunQarnotError: it failed; nothing runs.
        """
        self._tell(Message("asking-for-machine"))
        client, plan = self._client, self.plan.starting(self._client.now())
        job = await retrying(self._tell, client.make_job, plan)
        try:
            if await self._others():
                raise self._overtaken()
            await self._check_files()
            facts = await retrying(self._tell, client.make_task, plan, job)
            await self._give_way(facts)
        except UnreachableError:
            raise  # the task may run: its job, which limits its time, must be kept
        except RunQarnotError:
            await client.drop_job(job)
            raise
        await self._save_regularly(facts)
        return facts

    # — concurrent starts with one name and the same buckets: the cluster does not know them during the uploads —

    async def check_again(self, facts: TaskSnapshot) -> None:
        """Give way to another start of the same second, which may have come after the check of `submit`.

        Call this once that second is over: the cluster's times are whole seconds, and of equal ones the id decides.

        Raises:
            RunQarnotError: another start continues; the task is deleted.
        """
        try:
            await self._give_way(facts)
        except RunQarnotError:
            if facts.job is not None:
                await self._client.drop_job(facts.job)
            raise

    async def _give_way(self, facts: TaskSnapshot) -> None:
        """Delete the task and raise, if another start was first."""
        if not await self._is_first(facts):
            await retrying(self._tell, self._client.abort, facts)
            await retrying(self._tell, self._client.delete, facts)
            raise self._overtaken()

    async def _others(self) -> list[TaskSnapshot]:
        """Return the tasks of other starts with this name; of the same session only those that are not over."""
        tasks = await retrying(self._tell, self._client.tasks)
        named = [task for task in tasks if task.name == self.plan.name and task.launch_id != self.plan.launch_id]
        if self.plan.is_first:
            return named
        return [task for task in named if is_running(task) and task.session_id == self.plan.session_id]

    async def _is_first(self, facts: TaskSnapshot) -> bool:
        """Whether no other start submitted a task between our check and our submission."""
        try:
            others = await self._others()
        except RunQarnotError:
            return True  # the task is submitted, so this must not fail
        return is_first(facts, others)

    async def _check_files(self) -> None:
        """Check that the bucket contains the files that were sent, and no others.

        Raises:
            InputError: another program has added files.
            TransferError: a file is missing.
        """
        inputs = self.plan.inputs
        ours = (
            {each.key for each in self._uploads}
            | {each.key for each in self._web}
            | {each.file.key for each in self._copies}
        )
        if not self.plan.is_first or not is_bucket_of(self.plan.name, inputs):
            return  # it contains files that were added later, or a plugin's bucket with files of its own
        found = {file.key for file in await retrying(self._tell, self._client.storage.files, inputs)}
        if others := sorted(found - ours - bootstrap.KEYS):
            raise InputError("bucket-shared", field="name", name=others[0], bucket=inputs)
        if gone := sorted(ours - found):
            raise TransferError("upload", name=gone[0], problem=Message("deleted-meanwhile"))

    def _overtaken(self) -> RunQarnotError:
        if not self.plan.is_first:
            return SessionError("runs-already", name=self.plan.name, reference=self.plan.name)
        return InputError("name-overtaken", field="name", name=self.plan.name, bucket=self.plan.inputs)

    async def _save_regularly(self, facts: TaskSnapshot) -> None:
        """Request periodic snapshots. The task is submitted, so a refusal must not look like a failed start."""
        seconds = self.plan.snapshot_seconds
        try:
            if seconds:
                await retrying(self._tell, self._client.snapshot_every, facts, seconds)
        except RunQarnotError as error:  # a short batch may be over; otherwise `PeriodicSnapshots` requests them again
            log.info("%s is not saved every %d s: %s", self.plan.name, seconds, error)


def is_running(task: TaskSnapshot) -> bool:
    """Whether a task is not over. An unknown state counts as running."""
    return observed_state(task.state) not in FINAL


def is_first(task: TaskSnapshot, others: Iterable[TaskSnapshot]) -> bool:
    """Whether a task was created before all others. The lowest id decides between equal times.

    So of several starts exactly one continues, in whichever process. Without a time from the cluster, none does.
    """
    return all(
        task.created is not None and other.created is not None and (task.created, task.id) < (other.created, other.id)
        for other in others
    )


async def upload(
    storage: AsyncStorage,
    bucket: str,
    uploads: Sequence[Upload],
    tell: Tell,
    given_up: threading.Event | None = None,
    *,
    replace: bool = False,
) -> None:
    """Upload files and report the bytes, at most once a second.

    Raises:
        InputError: the bucket has another file of that name, and `replace` is false.
        TransferError: a file could not be uploaded, or it was given up.
    """
    if not uploads:
        return
    work = partial(storage.upload, bucket, uploads, replace=replace)
    say = partial(Message, "uploading-files", count=len(uploads))
    await _told(say, _bytes_of(uploads), work, tell, given_up)


async def copy(
    storage: AsyncStorage, bucket: str, copies: Sequence[StoredCopy], tell: Tell, given_up: threading.Event
) -> None:
    """Let the storage copy files into a bucket, and report the bytes.

    Raises:
        TransferError: a file could not be copied, or it was given up.
    """
    if copies:
        work = partial(storage.copy, bucket, copies)
        say = partial(Message, "copying-files", count=len(copies))
        await _told(say, sum(each.file.size for each in copies), work, tell, given_up)


async def _told(
    say: Callable[..., Message],
    total: int,
    work: Callable[..., Awaitable[None]],
    tell: Tell,
    given_up: threading.Event | None,
) -> None:
    """Call a function with `progress` and `cancelled`; report the bytes, at most once a second."""
    loop, moved, told, gone = asyncio.get_running_loop(), 0, float("-inf"), threading.Event()

    def cancelled() -> bool:
        return gone.is_set() or (given_up is not None and given_up.is_set())

    def progress(bytes_: int) -> None:  # called in the storage's threads
        if not cancelled():
            loop.call_soon_threadsafe(add, bytes_)

    def add(bytes_: int) -> None:
        nonlocal moved, told
        moved += bytes_
        if not gone.is_set() and (loop.time() >= told + _TELL_SECONDS or moved == total):
            told = loop.time()
            tell(say(moved=size(moved), total=size(total)), moved / total if total else 1.0)

    add(0)
    try:
        await work(progress=progress, cancelled=cancelled)
    finally:
        gone.set()


def _bytes_of(uploads: Sequence[Upload]) -> int:
    """Return the bytes to send. A file that cannot be read is reported when it is uploaded."""
    total = 0
    for each in uploads:
        with contextlib.suppress(OSError):
            total += each.path.stat().st_size
    return total
