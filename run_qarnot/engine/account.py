"""An account: its sessions, and new ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from run_qarnot import bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.api import first_profile
from run_qarnot.cloud.models import Machine, TaskSnapshot
from run_qarnot.core.errors import NotFoundError, SessionError
from run_qarnot.core.messages import Message, quoted
from run_qarnot.engine.client import Client
from run_qarnot.engine.copying import Copies, find_copies
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.leftovers import LeftOver, delete_left_over, find_left_over
from run_qarnot.engine.planning import Planner
from run_qarnot.engine.played_images import not_runnable
from run_qarnot.engine.repository import fetch
from run_qarnot.engine.restart_spec import restart_spec
from run_qarnot.engine.session import Session, sessions_in
from run_qarnot.engine.wait_estimate import wait_estimates
from run_qarnot.engine.web_input import check_names, look
from run_qarnot.model.files import Upload
from run_qarnot.model.plan import Label, TaskPlan
from run_qarnot.model.settings import Settings, check_token
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.web_file import WebFile


@dataclass(frozen=True)
class AccountSummary:
    """The account's identity and limits; None for what the cluster does not state. Credits in euros."""

    email: str
    running: int | None
    max_running: int | None
    credits: float | None
    cluster: str  # its host


class Account:
    """One account on one cluster. Create it with `open`; close it at the end."""

    def __init__(self, settings: Settings, token: str, catalog: Catalog, client: Client) -> None:
        self.settings = settings
        self.catalog = catalog
        self.client = client
        self.email = client.email
        self._token = token
        self._planner = Planner(client, catalog, token)

    @classmethod
    async def open(cls, settings: Settings, token: str, catalog: Catalog) -> Account:
        """Connect and have the token checked.

        Raises:
            InputError: the text cannot be a token.
            RefusedError: the cluster does not accept it.
            UnreachableError: there is no cluster; raised within five seconds.
        """
        token = check_token(token)
        return cls(settings, token, catalog, await Client.connect(settings, token))

    async def close(self, drain_seconds: float = 5.0) -> None:
        """Wait until plugins have received all events, at most `drain_seconds`. Sessions continue."""
        await in_thread(self.catalog.hooks.drain, drain_seconds)

    @property
    def is_refused(self) -> bool:
        """Whether the cluster accepted the token before and refuses it now."""
        return self.client.is_refused

    async def summary(self) -> AccountSummary:
        """Request the account's identity, running tasks and remaining credits."""
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

    async def without_profile(self, images: Iterable[Image]) -> list[str]:
        """Return the ids of the images that need a profile which the account does not have."""
        available = await self.client.profiles()
        return [image.id for image in images if not first_profile(image.profile, available)]

    async def machines(self) -> list[Machine]:
        """Return the machines that the account may ask for."""
        return await self.client.machines()

    async def sessions(self) -> list[Session]:
        """Return all sessions that this product started on the account; the one with the newest run comes first."""
        return [self._found(runs) for runs in sessions_in(await self.client.tasks())]

    def wait_estimates(self, found: Iterable[Session]) -> dict[str, float]:
        """Return, by image id, the usual number of seconds until a machine runs it.

        Arguments:
            found: what `sessions` returned.
        """
        tasks = [task for session in found for task in session.tasks]
        return wait_estimates(sorted(tasks, key=lambda task: str(task.created), reverse=True))

    async def find(self, text: str, *, whole: bool = False) -> Session:
        """Find a session by name, id, or a unique prefix of either. If several have the name, the newest is returned.

        Arguments:
            text: what was typed.
            whole: do not accept the prefix of a name. Used for actions that cannot be undone, which must not affect
                another session with a longer name. A prefix of an id is accepted.

        Raises:
            NotFoundError: no session matches, or several do.
        """
        found = sessions_in(await self.client.tasks())
        for runs in found:
            if text == runs[-1].name or text.lower() in _ids(runs):
                return self._found(runs)
        by_name = [runs for runs in found if text and runs[-1].name.startswith(text)]
        by_id = [runs for runs in found if text and any(each.startswith(text.lower()) for each in _ids(runs))]
        near = [*by_name, *(runs for runs in by_id if runs not in by_name)]
        names = sorted({runs[-1].name for runs in near})
        if whole and by_name:
            raise NotFoundError("session-whole", text=text, hint=Message("did-you-mean", names=quoted(*names)))
        if len(names) > 1:
            raise NotFoundError("session-ambiguous", text=text, names=", ".join(names))
        if not near:
            raise NotFoundError("session-unknown", text=text)
        return self._found(near[0])

    async def start(self, spec: SessionSpec, uploads: Sequence[Upload], web: Sequence[WebFile] = ()) -> Session:
        """Check everything, and return a new session, whose first run `follow` will prepare and submit.

        Arguments:
            spec: the request. With `resume`, the session begins with copies of another session's files, made by the
                storage; the two are independent of each other.
            uploads: files of this computer; of those with one name as a copy, these win.
            web: files of the web; likewise.

        Raises:
            RunQarnotError: a check failed; nothing was created, uploaded or started.
        """
        check_names(web, {upload.key for upload in uploads})
        web = await look(web)
        copies = await self.copies(spec.resume) if spec.resume else None
        if copies is not None:
            copies.check()
        found = copies.files if copies is not None else ()
        given = {each.key for each in uploads} | {each.key for each in web}
        temporary, fetched = await fetch(spec.checked(), given, self.settings.doi_url)
        uploads = [*uploads, *fetched]
        keys = given | {upload.key for upload in uploads} | {copy.file.key for copy in found}
        plan = await self._planner.first(spec, keys, copies.brought if copies is not None else ())
        sent = bootstrap.attach(uploads, plan.constants)
        session = Session.new(self.client, self.catalog, self._token, plan, sent, found, web)
        session.temporary = temporary
        return session

    async def copies(self, session: str) -> Copies:
        """Return the files that a copy of a session would begin with, their size, and the free space.

        Arguments:
            session: as for `find`.
        """
        facts = (await self.find(session)).facts
        assert facts is not None  # only submitted sessions are found
        return await find_copies(self.client, facts)

    async def start_again(self, session: Session, **changes: Any) -> None:
        """Check the request and begin the next run of an ended session. `follow` then prepares and submits it.

        The run has the name, address, files, packages, options and keys of the previous one.

        Arguments:
            session: an ended one.
            changes: fields of `SessionSpec` that differ from the previous run: `image`, `hours`, `options` (added to
                the previous ones), `idle`, `machines`, `user_key`, `machine`, `scheduling`, `hardware` …

        Raises:
            SessionError: the session is running, perhaps started elsewhere; `session` then follows that run. Or the
                value of an option is no longer known.
            RunQarnotError: another check failed; nothing was created or started.
        """
        if session.facts is not None and await session.join():
            raise SessionError("runs-already", name=session.view.name, reference=session.view.reference)
        plan = await self._next_plan(session, changes)
        session.begin(plan, bootstrap.attach([], plan.constants))

    async def extend(self, session: Session, hours: float, **changes: Any) -> None:
        """Give a session more hours: save it, stop it, begin its next run. A task's limit cannot be changed.

        The content of the machine's memory, such as variables and running cells, is lost: ask the user first.

        Arguments:
            session: running or ended; another task may be following it.
            hours: the limit of the next run.
            changes: as for `start_again`.

        Raises:
            InputError: the image does not allow so many hours, or is no longer in the catalog.
            SessionError: there cannot be another run, or saving failed. The session still runs then.
            RunQarnotError: the account may not start another run, or the cluster does not answer.
        """
        if session.ends_by_itself:
            raise SessionError("limit-fixed", name=session.view.name, hint=Message("limit-command"))
        plan = await self._next_plan(session, {**changes, "hours": hours})  # all checks come before the stop
        if not session.view.is_over:
            await session.stop()
        session.begin(plan, bootstrap.attach([], plan.constants))

    async def _next_plan(self, session: Session, changes: Mapping[str, Any]) -> TaskPlan:
        if session.facts is None:
            raise SessionError("limit-fixed", name=session.view.name, hint=Message("limit-nothing-runs"))
        image = changes.get("image") or self.catalog.get(session.facts.label(Label.IMAGE))
        spec = restart_spec(session.facts, image, changes)
        return await self._planner.next(session.facts, spec)

    async def left_over(self) -> list[LeftOver]:
        """Return the buckets of sessions that no longer exist or were never submitted. See `leftovers`."""
        return await find_left_over(self.client)

    async def delete_left_over(self, wanted: Sequence[LeftOver]) -> list[LeftOver]:
        """Delete those buckets of `left_over` that have not changed since; return them.

        This cannot be undone: ask the user first.
        """
        return await delete_left_over(self.client, wanted)

    def _found(self, tasks: Sequence[TaskSnapshot]) -> Session:
        return Session.found(self.client, self.catalog, self._token, tasks)


def _ids(runs: Sequence[TaskSnapshot]) -> set[str]:
    """The ids by which a session is found: its own and those of its runs."""
    return {runs[-1].session_id, *(task.id for task in runs)}
