"""From a plan to a submitted task: buckets, uploads, the job that limits the time, the task.

Each thing is written down the moment it exists, so that trying again goes on where it stopped, and an answer that got
lost makes nothing twice.
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
    """What has to be done before a session is on the cluster.

    Arguments:
        client: of the account.
        plan: what.
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
        """Stop as soon as possible; nothing is submitted any more."""
        self._given_up.set()

    async def prepare(self) -> None:
        """Make the buckets and upload the files.

        Raises:
            RunQarnotError: it cannot be done, or was given up; what is uploaded stays.
        """
        self._tell(self._making())
        for bucket in (self.plan.inputs, self.plan.results):
            await retrying(self._tell, self._client.storage.create, bucket, self.plan.name)
        scripts, files = (
            [each for each in self._uploads if (each.key in bootstrap.KEYS) is ours] for ours in (True, False)
        )
        storage, inputs = self._client.storage, self.plan.inputs
        await copy(storage, inputs, self._copies, self._tell, self._given_up)
        # Of a start that broke off, the script of an older version of ours may be there.
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
        """Say which buckets are made, where they do not have the names that one would expect."""
        wanted = TaskPlan.bucket_names(self.plan.name)
        for expected, bucket in zip(wanted, (self.plan.inputs, self.plan.results), strict=True):
            if bucket != expected and is_bucket_of(self.plan.name, bucket):
                return Message("making-other-bucket", expected=expected, bucket=bucket)
        return Message("making-buckets")

    async def submit(self) -> TaskSnapshot:
        """Make the job and the task; return the first look at it. Not to be broken off: only its end tells what runs.

        Raises:
            RunQarnotError: it cannot be done; nothing runs.
        """
        self._tell(Message("asking-for-machine"))
        client, plan = self._client, self.plan.starting(self._client.now())
        job = await retrying(self._tell, client.make_job, plan)
        try:
            if await self._others():
                raise self._overtaken()
            await self._check_files()
            facts = await retrying(self._tell, client.make_task, plan, job)
            if not await self._is_first(facts):
                await retrying(self._tell, client.abort, facts)
                await retrying(self._tell, client.delete, facts)
                raise self._overtaken()
        except UnreachableError:
            raise  # perhaps it runs: its job must stay, because it limits its time
        except RunQarnotError:
            await client.drop_job(job)
            raise
        await self._save_regularly(facts)
        return facts

    # — of several starts by one name, to the same buckets: while the files travel, the cluster knows of none —

    async def _others(self) -> list[TaskSnapshot]:
        """Return what others have submitted by this name; of the same session only what is not over."""
        tasks = await retrying(self._tell, self._client.tasks)
        named = [task for task in tasks if task.name == self.plan.name and task.launch_id != self.plan.launch_id]
        if self.plan.is_first:
            return named
        return [task for task in named if is_running(task) and task.session_id == self.plan.session_id]

    async def _is_first(self, facts: TaskSnapshot) -> bool:
        """Whether nobody submitted before, in the moment between our look and our submission."""
        try:
            others = await self._others()
        except RunQarnotError:
            return True  # it is on the cluster, and must not look as if it were not
        return is_first(facts, others)

    async def _check_files(self) -> None:
        """Look whether the bucket holds what was sent, and nothing else.

        Raises:
            InputError: others have sent files there too.
            TransferError: one of ours is gone.
        """
        inputs = self.plan.inputs
        ours = (
            {each.key for each in self._uploads}
            | {each.key for each in self._web}
            | {each.file.key for each in self._copies}
        )
        if not self.plan.is_first or not is_bucket_of(self.plan.name, inputs):
            return  # it holds what was added since; or a plugin wants it so, and knows what else is there
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
        """Arrange the saves. It is on the cluster by now: that this is refused must not look as if it were not."""
        seconds = self.plan.snapshot_seconds
        try:
            if seconds:
                await retrying(self._tell, self._client.snapshot_every, facts, seconds)
        except RunQarnotError as error:  # a short batch may be over already; else `Saves` asks again, and says so
            log.info("%s is not saved every %d s: %s", self.plan.name, seconds, error)


def is_running(task: TaskSnapshot) -> bool:
    """Whether a task is not over; one whose state is not known is taken for one that runs."""
    return observed_state(task.state) not in FINAL


def is_first(task: TaskSnapshot, others: Iterable[TaskSnapshot]) -> bool:
    """Whether a task was created before all others; of those of one moment, the one with the lowest id is the first.

    So of several starts exactly one goes on, whoever asks. Where the cluster does not tell a time, none does.
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
    """Upload files, telling how many bytes have arrived, at most once a second.

    Raises:
        InputError: another file of that name is in the bucket, and it is not to be replaced.
        TransferError: a file could not be moved, or it was given up.
    """
    if not uploads:
        return
    work = partial(storage.upload, bucket, uploads, replace=replace)
    say = partial(Message, "uploading-files", count=len(uploads))
    await _told(say, _bytes_of(uploads), work, tell, given_up)


async def copy(
    storage: AsyncStorage, bucket: str, copies: Sequence[StoredCopy], tell: Tell, given_up: threading.Event
) -> None:
    """Have the storage copy files into a bucket, telling how many bytes have arrived.

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
    """Do what is given `progress` and `cancelled`; tell how many bytes have arrived, at most once a second."""
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
    """How much there is to send. What cannot be looked at any more is said when it is its turn."""
    total = 0
    for each in uploads:
        with contextlib.suppress(OSError):
            total += each.path.stat().st_size
    return total
