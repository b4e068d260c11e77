"""Finds buckets that may be deleted: those of an ended session, and those of sessions that no longer exist.

Deleting cannot be undone. So a bucket counts as left over only if all of this is true: it has the name and the tag of a
session, no task has that name, no task or pool of the account uses it (also an ended one, or one of another program),
and nothing was added to it for a day. The day protects uploads for a session that is not submitted yet, which the
cluster does not know.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import RefusedError, SessionError
from run_qarnot.core.names import is_bucket_of, session_of_bucket
from run_qarnot.core.state import FINAL, observed_state
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.view import SessionView

_QUIET = timedelta(days=1)
_MOST_NAMES = 10  # in one sentence


@dataclass(frozen=True)
class LeftOver:
    """A bucket whose session no longer exists.

    Arguments:
        bucket: its name.
        session: the name of the session.
        files: the number of files.
        size: of all files, in bytes.
        changed: the time of its last change.
    """

    bucket: str
    session: str
    files: int
    size: int
    changed: datetime


async def deletable_buckets(client: Client, view: SessionView, runs: Container[str]) -> list[str]:
    """Return the buckets that belong to an ended session alone.

    Version 0.1 continued a session in a new one, whose own buckets hold only changed files. So buckets that any other
    task uses, running or ended, are kept. One case is special: if `view` was never submitted and a session of the same
    name was, the buckets belong to the latter.

    Arguments:
        runs: the ids of the session's own tasks.

    Raises:
        SessionError: another task or pool, or a session that is being prepared, needs them.
    """
    own = {bucket for bucket in (view.inputs, view.results) if is_bucket_of(view.name, bucket)}
    users = [user for user in await client.bucket_users() if user.id not in runs]
    twins = [user for user in users if user.name == view.name and not view.id and observed_state(user.state) in FINAL]
    needing = [user.name for user in users if own & user.buckets and user not in twins]
    needing += [plan.name for plan in client.preparing.values() if own & set(plan.resources)]
    if needing:
        raise SessionError("in-use", name=view.name, reference=view.reference, others=_listed(needing))
    return [] if twins else sorted(filter(None, own))


async def find_left_over(client: Client) -> list[LeftOver]:
    """Find the buckets of sessions that no longer exist, sorted by name.

    Raises:
        RunQarnotError: the cluster or the storage does not answer, or refuses; then no bucket is known to be left over.
    """
    made = (
        await client.storage.buckets()
    )  # requested before the tasks: buckets that are created in between are too new to count
    in_use = set().union(*(user.buckets for user in await client.bucket_users()))
    in_use.update(*(plan.resources for plan in client.preparing.values()))
    names = {task.name for task in await client.tasks()}
    candidates = {
        bucket: created
        for bucket, created in sorted(made.items())
        if bucket not in in_use and session_of_bucket(bucket) not in {None, *names}
    }
    found = await in_thread(_look_into_all, client.storage.blocking, candidates)
    return [each for each in found if each is not None and each.changed < client.now() - _QUIET]


async def delete_left_over(client: Client, wanted: Sequence[LeftOver]) -> list[LeftOver]:
    """Delete those of `wanted` that have not changed since they were found; return them."""
    still = [each for each in await find_left_over(client) if each in wanted]
    for each in still:
        await client.storage.delete_bucket(each.bucket)
    return still


def _listed(names: Sequence[str]) -> str:
    """Return the names in one line, escaped: anybody with access to the account may have chosen them."""
    shown = [name if name.isprintable() else ascii(name) for name in dict.fromkeys(names)]
    return ", ".join([*shown[:_MOST_NAMES], *(["…"] if len(shown) > _MOST_NAMES else [])])


def _look_into_all(storage: Storage, buckets: Mapping[str, datetime]) -> list[LeftOver | None]:
    return [_look_into(storage, *each) for each in buckets.items()]


def _look_into(storage: Storage, bucket: str, created: datetime) -> LeftOver | None:
    """Return what a bucket contains; None if its tag and name are not of one session, or the storage does not say."""
    session = storage.owner(bucket)
    if session is None or session != session_of_bucket(bucket):
        return None
    try:
        files, upload = storage.files(bucket), storage.last_upload(bucket)
    except RefusedError:
        return None  # there may be an unfinished upload
    changed = max([created, *(file.modified for file in files), *filter(None, [upload])])
    return LeftOver(bucket, session, len(files), sum(file.size for file in files), changed)
