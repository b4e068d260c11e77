"""Makes a plan from a request: everything is checked against the account before anything is created."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from run_qarnot import __version__, bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.cloud.api import first_profile
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import InputError, RefusedError
from run_qarnot.core.names import BUCKET_SUFFIXES, bucket_candidates, make_launch_id, which
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.played_images import not_runnable
from run_qarnot.model.plan import TaskPlan, make_plan
from run_qarnot.model.spec import SessionSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planner:
    """Makes plans for an account.

    Arguments:
        token: the Qarnot token, from which keys are derived.
    """

    client: Client
    catalog: Catalog
    token: str

    async def first(self, spec: SessionSpec, uploads: Collection[str], brought: Sequence[str] = ()) -> TaskPlan:
        """Plan the first run of a new session.

        Arguments:
            spec: the request.
            uploads: the keys of the files that will be sent.
            brought: buckets that the session reads in addition to its own and those of the spec.

        Raises:
            RunQarnotError: a check failed.
        """
        spec, profiles = await self._checked(spec)
        buckets = await self._own_buckets(spec.name, uploads)
        await self._check_buckets(spec.buckets)
        return await self._plan(spec, profiles, buckets, brought)

    async def next(self, before: TaskSnapshot, spec: SessionSpec) -> TaskPlan:
        """Plan another run of a session, with the buckets of the one before.

        Arguments:
            before: the latest run.
            spec: the request.

        Raises:
            RunQarnotError: a check failed.
        """
        spec, profiles = await self._checked(spec)
        await self._check_buckets(spec.buckets)
        inputs = before.resources[-1] if before.resources else await self._own_bucket(spec.name, BUCKET_SUFFIXES[0])
        results = before.results or await self._own_bucket(spec.name, BUCKET_SUFFIXES[1])
        others = await self._known(before, [each for each in before.resources if each != inputs])
        return await self._plan(spec, profiles, (inputs, results), others, before.session_id)

    async def _plan(
        self,
        spec: SessionSpec,
        profiles: Sequence[str],
        buckets: tuple[str, str],
        others: Sequence[str],
        session_id: str | None = None,
    ) -> TaskPlan:
        plan = make_plan(
            spec,
            launch_id=make_launch_id(),
            session_id=session_id,
            token=self.token,
            profiles=profiles,
            buckets=buckets,
            resumed=others,
            version=__version__,
            now=self.client.now(),
        )
        return await in_thread(self.catalog.hooks.prepare, plan, spec)

    async def _checked(self, spec: SessionSpec) -> tuple[SessionSpec, list[str]]:
        """Return the spec with the account's values filled in, and the usable profiles, the preferred first."""
        spec = spec.checked()
        profiles = first_profile(spec.profiles, await self.client.profiles())
        if not profiles:
            wanted = ", ".join(spec.profiles)
            raise RefusedError("profile-missing", image=spec.image.name, profiles=wanted)
        if await not_runnable(self.client, [spec.image]):
            raise RefusedError("image-not-played", field="image", image=spec.image.name)
        return replace(spec, hardware={**spec.hardware, **await self._constraint(spec.machine)}), profiles

    async def _known(self, before: TaskSnapshot, wanted: Iterable[str]) -> list[str]:
        """Leave out buckets that were deleted with an earlier session which version 0.1 continued in this one."""
        known = await self.client.storage.buckets()
        if gone := [bucket for bucket in wanted if bucket not in known]:
            log.warning("Deleted since, so not brought along with the files of %s: %s", before.name, ", ".join(gone))
        return [bucket for bucket in wanted if bucket in known]

    async def _check_buckets(self, wanted: Sequence[str]) -> None:
        """Raise InputError for the first missing bucket. Qarnot would report it only after the uploads."""
        known = await self.client.storage.buckets() if wanted else {}
        for bucket in wanted:
            if bucket not in known:
                raise InputError("bucket-unknown", field="buckets", bucket=bucket, hint=which(bucket, known))

    async def _constraint(self, machine: str) -> dict[str, str | bool]:
        known = {each.name: each for each in await self.client.machines()} if machine else {}
        if machine and machine not in known:
            raise InputError("machine-unknown", field="machine", machine=machine, hint=which(machine, known))
        return {known[machine].constraint: known[machine].value} if machine else {}

    async def _own_buckets(self, name: str, uploads: Collection[str]) -> tuple[str, str]:
        """Return the buckets for the inputs and the results of a new session.

        Each session has its own: with shared ones, two sessions would overwrite each other's files (`design.md` §11).

        An interrupted start may be repeated: existing files are not overwritten.
        """
        if any(task.name == name for task in await self.client.tasks()):
            raise InputError("name-taken", field="name", name=name)
        inputs, results = [await self._own_bucket(name, suffix) for suffix in BUCKET_SUFFIXES]
        for bucket, ours in ((inputs, set(uploads)), (results, set())):
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
