"""What a token opens: the sessions of an account, and new ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from run_qarnot import __version__, bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.api import first_profile
from run_qarnot.cloud.models import Machine, TaskSnapshot
from run_qarnot.core.errors import InputError, NotFoundError, RefusedError, SessionError
from run_qarnot.core.messages import Message, quoted
from run_qarnot.core.names import (
    BUCKET_SUFFIXES,
    bucket_candidates,
    make_launch_id,
    session_of_bucket,
    suggest_name,
    which,
)
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.leftovers import LeftOver, delete_left_over, find_left_over
from run_qarnot.engine.played_images import not_runnable
from run_qarnot.engine.restart_spec import next_name, restart_spec
from run_qarnot.engine.session import Session
from run_qarnot.engine.wait_estimate import wait_estimates
from run_qarnot.model.files import Upload
from run_qarnot.model.plan import make_plan
from run_qarnot.model.settings import Settings, check_token
from run_qarnot.model.spec import SessionSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AccountSummary:
    """Who the account is and what it may do; None where the cluster does not say. Credits in euros."""

    email: str
    running: int | None
    max_running: int | None
    credits: float | None
    cluster: str  # its host


class Account:
    """One account on one cluster. Make it with `open`; close it at the end."""

    def __init__(self, settings: Settings, token: str, catalog: Catalog, client: Client) -> None:
        self.settings = settings
        self.catalog = catalog
        self.client = client
        self.email = client.email
        self._token = token

    @classmethod
    async def open(cls, settings: Settings, token: str, catalog: Catalog) -> Account:
        """Connect and have the token checked.

        Raises:
            InputError: it cannot be a token.
            RefusedError: the cluster does not accept it.
            UnreachableError: no cluster there; within five seconds.
        """
        token = check_token(token)
        return cls(settings, token, catalog, await Client.connect(settings, token))

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Wait until plugins were told what happened, or `drain_seconds` are over. Sessions go on."""
        await in_thread(self.catalog.hooks.drain, drain_seconds)

    @property
    def is_refused(self) -> bool:
        """Whether the cluster accepted the token, and does not any more."""
        return self.client.is_refused

    async def summary(self) -> AccountSummary:
        """Ask who we are, what runs and what is left."""
        facts = await self.client.account()
        host = urlsplit(self.settings.cluster_url).hostname or self.settings.cluster_url
        return AccountSummary(facts.email, facts.running, facts.max_running, facts.credits, host)

    async def profiles(self) -> list[str]:
        """Return the names of the profiles that the account has."""
        return await self.client.profiles()

    async def profile_constants(self, profile: str) -> dict[str, str]:
        """Return the constants that a profile of the account knows, with their default values."""
        return await self.client.profile_constants(profile)

    async def not_runnable(self, images: Iterable[Image]) -> list[str]:
        """Return the ids of the images that the cluster cannot run, see `played_images`."""
        return await not_runnable(self.client, images)

    async def machines(self) -> list[Machine]:
        """Return the machines that the account may ask for."""
        return await self.client.machines()

    async def sessions(self) -> list[Session]:
        """Return all sessions that this product started on the account, the newest first."""
        return [self._found(facts) for facts in await self.client.tasks()]

    def wait_estimates(self, found: Iterable[Session]) -> dict[str, float]:
        """Return by the id of an image how many seconds it usually takes until a machine runs it.

        Arguments:
            found: what `sessions` returned.
        """
        return wait_estimates(session.facts for session in found if session.facts is not None)

    async def find(self, text: str, *, whole: bool = False) -> Session:
        """Find a session by name, id, or a unique beginning of either. Of one name, the newest is meant.

        Arguments:
            text: what was typed.
            whole: the beginning of a name will not do: what cannot be undone must not meet the next session, whose name
                is a longer one. That of an id will: nobody types it for another.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        tasks = await self.client.tasks()
        for exact in tasks:
            if text == exact.name or text.lower() == exact.id:
                return self._found(exact)
        by_name = [task for task in tasks if text and task.name.startswith(text)]
        near = [
            *by_name,
            *(task for task in tasks if text and task.id.startswith(text.lower()) and task not in by_name),
        ]
        names = sorted({task.name for task in near})
        if whole and by_name:
            raise NotFoundError("session-whole", text=text, hint=Message("did-you-mean", names=quoted(*names)))
        if len(names) > 1:
            raise NotFoundError("session-ambiguous", text=text, names=", ".join(names))
        if not near:
            raise NotFoundError("session-unknown", text=text)
        return self._found(near[0])

    async def start(self, spec: SessionSpec, uploads: Sequence[Upload]) -> Session:
        """Check everything, and return a session that `follow` will prepare and submit.

        Raises:
            RunQarnotError: something is not right; nothing was made, uploaded or started.
        """
        spec = spec.checked()
        profiles = first_profile(spec.image.profile, await self.client.profiles())
        if not profiles:
            wanted = ", ".join(spec.image.profile)
            raise RefusedError("profile-missing", image=spec.image.name, profiles=wanted)
        if await self.not_runnable([spec.image]):
            raise RefusedError("image-not-played", field="image", image=spec.image.name)
        buckets = await self._own_buckets(spec.name, {upload.key for upload in uploads})
        await self._check_buckets(spec.buckets)
        spec = replace(spec, hardware={**spec.hardware, **await self._constraint(spec.machine)})
        plan = make_plan(
            spec,
            launch_id=make_launch_id(),
            token=self._token,
            profiles=profiles,
            buckets=buckets,
            resumed=await self._files_of(spec.resume) if spec.resume else (),
            version=__version__,
            now=self.client.now(),
        )
        plan = await in_thread(self.catalog.hooks.prepare, plan, spec)
        return Session.new(self.client, self.catalog, self._token, plan, bootstrap.attach(uploads, plan.constants))

    async def continue_with(self, session: Session, hours: float) -> Session:
        """Give a session more hours, in the only way that there is: save it, stop it, go on in a new one.

        What is only in memory there, such as variables and cells that run, is lost: ask the user first. Files,
        packages, options and keys go on, on another machine.

        Arguments:
            session: runs, or has ended; somebody may be following it.
            hours: the new session stops after so many.

        Returns:
            The new session, which `follow` will prepare and submit.

        Raises:
            InputError: the image does not allow so many hours, or is not in the catalog any more.
            SessionError: it cannot go on in another one, or could not be saved. Then it still runs.
            RunQarnotError: the account may not start the new one, or the cluster does not answer.
        """
        if session.facts is None:
            hint = Message("limit-nothing-runs")
            raise SessionError("limit-fixed", name=session.view.name, hint=hint)
        name = next_name(suggest_name(session.view.name), await self._names())
        spec = restart_spec(session.facts, self.catalog.get(session.view.image), name, hours)
        new = await self.start(spec, [])  # checks everything; nothing is made before it is followed
        if not session.view.is_over:
            await session.stop()
        return new

    async def _names(self) -> set[str]:
        """The names that are in use, also those of sessions of which only buckets are left."""
        buckets = await self.client.storage.buckets()
        owners = {owner for bucket in buckets if (owner := session_of_bucket(bucket))}
        return owners | {task.name for task in await self.client.tasks()}

    async def left_over(self) -> list[LeftOver]:
        """Return the buckets of sessions that are gone: forgotten, or never submitted. See `leftovers`."""
        return await find_left_over(self.client)

    async def delete_left_over(self, wanted: Sequence[LeftOver]) -> list[LeftOver]:
        """Delete buckets that `left_over` returned, as far as they still are as they were then; return those.

        Ask the user first: there is no way back.
        """
        return await delete_left_over(self.client, wanted)

    def _found(self, facts: TaskSnapshot) -> Session:
        return Session.found(self.client, self.catalog, self._token, facts)

    async def _files_of(self, session: str) -> tuple[str, ...]:
        """The buckets whose files together are what the user saw in that session: the last wins.

        Those that were deleted since, with a session from which this one was continued, are left out.
        """
        facts = (await self.find(session)).facts
        if facts is None:
            return ()
        wanted = (*facts.resources, *([facts.results] if facts.results else []))
        known = await self.client.storage.buckets()
        if gone := [bucket for bucket in wanted if bucket not in known]:
            log.warning("Deleted since, so not brought along with the files of %s: %s", facts.name, ", ".join(gone))
        return tuple(bucket for bucket in wanted if bucket in known)

    async def _check_buckets(self, wanted: Sequence[str]) -> None:
        """Raise InputError for the first that is not there: Qarnot says so only once the files have travelled."""
        known = await self.client.storage.buckets() if wanted else {}
        for bucket in wanted:
            if bucket not in known:
                raise InputError("bucket-unknown", field="buckets", bucket=bucket, hint=which(bucket, known))

    async def _constraint(self, machine: str) -> dict[str, str | bool]:
        known = {each.name: each for each in await self.machines()} if machine else {}
        if machine and machine not in known:
            raise InputError("machine-unknown", field="machine", machine=machine, hint=which(machine, known))
        return {known[machine].constraint: known[machine].value} if machine else {}

    async def _own_buckets(self, name: str, uploads: set[str]) -> tuple[str, str]:
        """Return the buckets for the inputs and the results of a session that is about to start.

        Shared bucket names once let two sessions destroy each other's files (`design.md` §11).

        A start that broke off while its files travelled may be repeated: of what is there, nothing is overwritten.
        """
        if any(task.name == name for task in await self.client.tasks()):
            raise InputError("name-taken", field="name", name=name)
        inputs, results = [await self._own_bucket(name, suffix) for suffix in BUCKET_SUFFIXES]
        for bucket, ours in ((inputs, uploads), (results, set())):
            found = await self.client.storage.files(bucket)
            if {file.key for file in found} - ours - bootstrap.KEYS:
                raise InputError("bucket-taken", field="name", bucket=bucket)
        return inputs, results

    async def _own_bucket(self, name: str, suffix: str) -> str:
        """Return the first name for a bucket of a session that does not belong to another account."""
        storage, candidates = self.client.storage, bucket_candidates(name, suffix)
        known = await storage.buckets()
        for bucket in candidates:
            if bucket in known or not await storage.is_foreign(bucket):
                return bucket
        raise InputError("bucket-foreign", field="name", bucket=candidates[0])
