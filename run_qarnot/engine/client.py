"""The asynchronous client of one account on one cluster: its tasks, its storage, its clock.

The parts of the engine get this client instead of the account. Each method is one of `cloud.api.Cloud` or
`cloud.s3.client.Storage`, where it is documented. It runs in a thread of the shared executor (`daemon_executor`), so
that a call that hangs delays neither other calls nor the end of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from run_qarnot.cloud.api import Cloud
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import RefusedError
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.poller import BatchedPoller
from run_qarnot.model.plan import TaskPlan
from run_qarnot.model.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


def _cluster(
    method: Callable[Concatenate[Cloud, P], T],
) -> Callable[Concatenate[Client, P], Coroutine[Any, Any, T]]:
    """Wrap a method of `Cloud`: it is called in a thread."""

    async def call(self: Client, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await self._ask(method, *arguments, **named)

    return call


def _stored(
    method: Callable[Concatenate[Storage, P], T],
) -> Callable[Concatenate[AsyncStorage, P], Coroutine[Any, Any, T]]:
    """Wrap a method of `Storage`: it is called in a thread."""

    async def call(self: AsyncStorage, /, *arguments: P.args, **named: P.kwargs) -> T:
        return await in_thread(method, self.blocking, *arguments, **named)

    return call


class AsyncStorage:
    """The buckets of an account.

    `blocking` is the same storage for callers with a thread of their own, such as a zip that is written as it is read.
    """

    def __init__(self, storage: Storage) -> None:
        self.blocking = storage

    buckets = _stored(Storage.buckets)
    files = _stored(Storage.files)
    create = _stored(Storage.create)
    is_foreign = _stored(Storage.is_foreign)
    delete_bucket = _stored(Storage.delete_bucket)
    upload = _stored(Storage.upload)
    copy = _stored(Storage.copy)
    download = _stored(Storage.download)
    presign = _stored(Storage.presign)
    allow_origin = _stored(Storage.allow_origin)
    direct = _stored(Storage.direct)
    complete = _stored(Storage.complete)
    unfinished = _stored(Storage.unfinished)
    forget_unfinished = _stored(Storage.forget_unfinished)


class Client:
    """An open account. Create it with `connect`.

    Arguments:
        cloud: the connection.

    Attributes:
        is_refused: the cluster accepted the token before and refuses it now.
        preparing: plans that are not submitted yet, by launch id. The cluster does not know that they need buckets.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.email = cloud.email
        self.storage = AsyncStorage(cloud.storage)
        self.is_refused = False
        self.preparing: dict[str, TaskPlan] = {}
        self.poll = BatchedPoller(self.task, self.tasks).poll

    @classmethod
    async def connect(cls, settings: Settings, token: str) -> Client:
        """Connect, and have the token checked; errors are those of `Cloud`."""
        return cls(await in_thread(Cloud, settings, token))

    def now(self) -> datetime:
        """The time by the cluster's clock, which enforces the limits. This machine's clock may be wrong."""
        return datetime.now(UTC) + self._cloud.clock_offset

    account = _cluster(Cloud.account)
    profiles = _cluster(Cloud.profiles)
    profile_constants = _cluster(Cloud.profile_constants)
    machines = _cluster(Cloud.machines)
    tasks = _cluster(Cloud.tasks)
    task = _cluster(Cloud.task)
    bucket_users = _cluster(Cloud.bucket_users)
    make_job = _cluster(Cloud.make_job)
    drop_job = _cluster(Cloud.drop_job)
    close_job = _cluster(Cloud.close_job)
    make_task = _cluster(Cloud.make_task)
    abort = _cluster(Cloud.abort)
    delete = _cluster(Cloud.delete)
    refresh_resources = _cluster(Cloud.refresh_resources)
    output = _cluster(Cloud.output)
    streams = _cluster(Cloud.streams)
    snapshot = _cluster(Cloud.snapshot)
    snapshot_status = _cluster(Cloud.snapshot_status)
    snapshot_every = _cluster(Cloud.snapshot_every)
    cost = _cluster(Cloud.cost)
    carbon = _cluster(Cloud.carbon)

    async def _ask(self, method: Callable[Concatenate[Cloud, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        try:
            answer = await in_thread(method, self._cloud, *arguments, **named)
        except RefusedError as error:
            self.is_refused = error.code == "token-refused"
            raise
        self.is_refused = False
        return answer
