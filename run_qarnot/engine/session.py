"""A session: a named workspace and its runs. Listeners receive a new `SessionView` at each change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from run_qarnot import bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.hooks import Panel
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.cloud.s3.browser_upload import DirectUpload
from run_qarnot.core.errors import NotFoundError, SessionError
from run_qarnot.core.messages import Message, Sentence
from run_qarnot.core.names import is_bucket_of
from run_qarnot.core.state import EndReason, State
from run_qarnot.engine import idleness, output
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.decide import NEVER_READY, end_reason, first_view, next_view, planned_view
from run_qarnot.engine.details import details, last_save, never_ready
from run_qarnot.engine.input_bucket import InputBucket
from run_qarnot.engine.leftovers import deletable_buckets
from run_qarnot.engine.preparation import Preparation, is_running
from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.engine.readiness import OTHER_TOKEN
from run_qarnot.engine.results import Results
from run_qarnot.engine.run import RunIdentity, SessionRun
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model.connections import Link, TunnelSpec
from run_qarnot.model.files import StoredCopy, StoredFile, Upload
from run_qarnot.model.plan import Label, TaskPlan
from run_qarnot.model.view import SessionView
from run_qarnot.model.web_file import WebFile

__all__ = ["OTHER_TOKEN", "Session", "StoredFile", "Upload"]

_ENDING = frozenset({State.SAVING, State.STOPPING})  # files that are added in these states reach no machine


class Session:
    """A session of an account. Create it with `new` or `found`."""

    def __init__(self, client: Client, catalog: Catalog, token: str, view: SessionView) -> None:
        self._client = client
        self._catalog = catalog
        self._token = token
        self._state = ViewPublisher(view, self._changed)
        self._past: list[TaskSnapshot] = []  # of earlier runs, the oldest first
        self._run: SessionRun
        self.temporary: TemporaryDirectory[str] | None = None  # contains files to be uploaded
        self._log = output.Follower(self._streams, is_over=lambda: self.view.is_over)

    @classmethod
    def new(
        cls,
        client: Client,
        catalog: Catalog,
        token: str,
        plan: TaskPlan,
        uploads: Sequence[Upload],
        copies: Sequence[StoredCopy] = (),
        web: Sequence[WebFile] = (),
    ) -> Session:
        """Create a session whose first run `follow` will prepare and submit; arguments as for `Preparation`."""
        image = catalog.get(plan.labels[Label.IMAGE])
        session = cls(client, catalog, token, planned_view(plan, image.effective_app.title))
        session._run = session._planned(image, plan, uploads, copies, web=web)
        return session

    @classmethod
    def found(cls, client: Client, catalog: Catalog, token: str, tasks: Sequence[TaskSnapshot]) -> Session:
        """Create a session from its tasks on the cluster.

        Arguments:
            tasks: of its runs, the oldest first; at least one.
        """
        facts = tasks[-1]
        image = catalog.images.get(facts.label(Label.IMAGE))
        app = image.effective_app if image else catalog.apps.get(facts.label(Label.APP), BUILTIN["ssh"])
        session = cls(client, catalog, token, first_view(tasks, app.title))
        session._past = list(tasks[:-1])
        identity = session._identity(facts.session_id, facts.launch_id, image.ssh_user if image else "root", app)
        session._run = SessionRun.found(client, session._state, identity, facts)
        return session

    def begin(self, plan: TaskPlan, uploads: Sequence[Upload]) -> None:
        """Begin another run, which `follow` will prepare and submit. The previous one must be over."""
        image = self._catalog.get(plan.labels[Label.IMAGE])
        past, ended = list(self.tasks), self.view.ended
        self._state.move(next_view(self.view, plan, image.effective_app.title))
        self._replace(self._planned(image, plan, uploads, ended=ended), past)

    def adopt(self, tasks: Sequence[TaskSnapshot]) -> None:
        """Continue with a run that another process has started.

        Arguments:
            tasks: as for `found`; the last one is that run.
        """
        found = Session.found(self._client, self._catalog, self._token, tasks)
        self._state.move(found.view)
        found._run.publish_to(self._state)
        self._replace(found._run, found._past)

    def _replace(self, run: SessionRun, past: list[TaskSnapshot]) -> None:
        before, self._run, self._past = self._run, run, past
        run.access.identity, run.access.through_page = before.access.identity, before.access.through_page
        self._log.again()

    def _planned(
        self,
        image: Image,
        plan: TaskPlan,
        uploads: Sequence[Upload],
        copies: Sequence[StoredCopy] = (),
        ended: datetime | None = None,
        web: Sequence[WebFile] = (),
    ) -> SessionRun:
        identity = self._identity(plan.session_id, plan.launch_id, image.ssh_user, image.effective_app)
        preparation = Preparation(self._client, plan, uploads, self._state.tell_doing, copies, ended, web)
        return SessionRun.planned(self._client, self._state, identity, preparation)

    def _identity(self, session_id: str, launch_id: str, user: str, app: App) -> RunIdentity:
        return RunIdentity(self._token, session_id, launch_id, user, app)

    @property
    def session_id(self) -> str:
        """The id that all runs share (label `rq-session`)."""
        return self._run.identity.session_id

    @property
    def facts(self) -> TaskSnapshot | None:
        """The snapshot of the latest run's task; None before the submission."""
        return self._run.facts

    @property
    def tasks(self) -> tuple[TaskSnapshot, ...]:
        """The tasks of all submitted runs, the oldest first."""
        return (*self._past, *([self._run.facts] if self._run.facts is not None else []))

    # — listening —

    @property
    def view(self) -> SessionView:
        """The latest view."""
        return self._state.view

    def subscribe(self, listener: Callable[[SessionView], None]) -> Callable[[], None]:
        """Call `listener` with each new view; return a function that ends it."""
        return self._state.subscribe(listener)

    def subscribe_log(
        self, listener: Callable[[list[str]], None], trouble: Callable[[Message], None] = lambda _: None
    ) -> Callable[[], None]:
        """As `Follower.subscribe`. Output is fetched only while there are listeners."""
        return self._log.subscribe(listener, trouble)

    async def log_is_complete(self) -> None:
        """Wait until the listeners have received the whole output of an ended run; errors as `Follower.finished`."""
        await self._log.finished()

    async def until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view that meets the condition, while another task runs `follow`."""
        return await self._state.until(condition)

    async def submitted(self) -> SessionView:
        """Wait until the latest run is submitted and no other start can win, or it is over; something must `follow`."""
        await self._state.until(lambda view: self._run.facts is not None or view.is_over)
        await self._run.is_settled.wait()
        return self.view

    @property
    def is_submitted(self) -> bool:
        """Whether the latest run is submitted."""
        return self._run.facts is not None

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether the cluster has received the request to stop, so that this process may end."""
        return self._run.is_asked_to_stop

    @property
    def ends_by_itself(self) -> bool:
        """Whether the app is a command that ends, without a page to open."""
        return self._run.app.ends_by_itself

    # — access —

    @property
    def knows_session_key(self) -> bool:
        """Whether the machine accepts the derived session key, so that the user needs no key."""
        return self._run.knows_session_key

    @property
    def takes_user_key(self) -> bool:
        """Whether the machine accepts the user's own key."""
        return self._run.takes_user_key

    @property
    def needs_other_token(self) -> bool:
        """Whether the run was started with another Qarnot token, so that our key differs from its machine's."""
        return self._run.needs_other_token

    @property
    def access_problem(self) -> Sentence | None:
        """Why the tunnel could not be opened."""
        return self._run.access.problem

    def use_own_keys(self, private_key: str | None = None) -> None:
        """Open the tunnel with the user's own key, or keys (agent, `~/.ssh`), if the machine accepts no other.

        Raises:
            SessionError: the key cannot be used.
        """
        self._run.access.use_own_keys(private_key)

    def use_identity(self, file: str | None) -> None:
        """Set the file of the user's private key that the printed command names."""
        self._run.access.identity = file

    def app_address(self) -> str | None:
        """Return the app's address through this process' tunnel; None while it is closed."""
        return next((connection.url for connection in self.view.connections if connection.kind == "tunnel"), None)

    def app_links(self) -> tuple[Link, ...]:
        """Return the addresses of the app's further pages through this process' tunnel, while it is open."""
        return next((connection.links for connection in self.view.connections if connection.kind == "tunnel"), ())

    def tunnel_spec(self) -> TunnelSpec | None:
        """Return what a launcher on the visitor's computer needs; None until the session can be opened."""
        if self.facts is None or not self._run.can_be_entered:
            return None
        return self._run.access.tunnel_spec(self.facts, self.view.attempt)

    def lead_through_page(self) -> None:
        """Offer the connection `page` and no tunnel, because the visitor's browser is on another computer."""
        self._run.access.through_page = True
        self._run.tell_connections()

    def proxied(self) -> ProxiedSession | None:
        """Return what the page's server needs to proxy the app; None while it cannot."""
        return self._run.proxied()

    @property
    def open_path(self) -> str:
        """The path of the app's page, without a leading slash."""
        return quote(self._run.access.open_path.lstrip("/"))

    def page_path(self, link: int | None) -> str:
        """Return the path of one of the app's further pages, by its number; None for its own; likewise."""
        return self.open_path if link is None else quote(self._run.app.ports[link].proxied_path.lstrip("/"))

    # — following —

    async def follow(self) -> None:
        """Prepare and submit the latest run if it is new; then observe, decide, act and publish until it ends.

        Cancel this to stop following: the tunnel closes and the session continues.

        Raises:
            RunQarnotError: the preparation failed. Later errors become part of the view.
        """
        run: SessionRun | None = None
        while run is not self._run:  # another run may have begun meanwhile
            run = self._run
            try:
                await run.follow()
            except SessionError as error:
                if error.code != "runs-already" or not await self.join():
                    raise

    async def join(self) -> bool:
        """Continue with the session's latest run on the cluster; return whether it is running."""
        own, found = self._run.identity.launch_id, await self._client.tasks()
        if not self.is_submitted:  # its own task may still be listed after another start at the same moment won
            found = [task for task in found if task.launch_id != own]
        tasks = runs_of(self.session_id, found)
        if tasks and tasks[-1].id != self._run.task_id:
            self.adopt(tasks)
        return bool(tasks) and is_running(tasks[-1])

    async def poll(self) -> SessionView:
        """Poll once, for a list or `show`: find out whether the run is over and whether the app answers."""
        await self._run.poll()
        return self.view

    async def detail(self) -> SessionView:
        """Add details that are requested rarely: cost, carbon, the time of the last save."""
        if self.facts is not None:
            run = self._run
            found = await details(self._client, self.facts, self.view, self.results)
            if run is not self._run:  # another run has begun meanwhile
                return self.view
            self._learn(found)
            await self.find_idle_ends()
            if not run.was_ready and await never_ready(self._client, run.app, self.facts, self.view, self.results):
                self._state.learn(state=State.FAILED, reason=EndReason.FAILED.value, error=NEVER_READY)
        return self.view

    async def find_idle_ends(self) -> SessionView:
        """Find out which runs ended because nobody used them: the cluster does not tell who comes later."""
        tasks = await idleness.with_idle_ends(self.tasks, self.results)
        idle = {task.id for task in tasks if end_reason(task) is EndReason.IDLE}
        if idle and tasks[-1].id == self._run.task_id:
            runs = [replace(run, reason=EndReason.IDLE.value) if run.id in idle else run for run in self.view.runs]
            is_idle_end = self.view.is_over and self._run.task_id in idle
            self._state.learn(runs=tuple(runs), reason=EndReason.IDLE.value if is_idle_end else self.view.reason)
        return self.view

    async def look_for_saves(self) -> SessionView:
        """Ask the storage for the time of the last save, because the cluster does not report periodic saves.

        Raises:
            RunQarnotError: the storage does not answer, or refuses.
        """
        self._learn(await last_save(self._client, self.view, self.results))
        return self.view

    def _learn(self, found: dict[str, Any]) -> None:
        """Add details to the view. A save that was completed while they were requested is not forgotten."""
        if "saved" in found:
            found["saved"] = max(filter(None, (found["saved"], self.view.saved)), default=None)
        self._state.learn(**found)

    # — acting —

    async def keep_on(self) -> None:
        """Make the session count as used now, so that it does not stop soon as idle.

        Raises:
            SessionError: its machine cannot be reached.
        """
        await self._run.keep_on()

    async def save(self) -> None:
        """Take a snapshot of the results and wait until it is complete.

        Raises:
            SessionError: it is not running, or the snapshot failed; the session continues.
        """
        await self._run.save()

    async def stop(self, *, save: bool = True) -> None:
        """Save and stop the run; return when it has ended.

        Raises:
            SessionError: saving failed; the session is still running then.
            RunQarnotError: the cluster does not answer, or refuses.
        """
        await self._run.stop(save=save)

    @property
    def inputs(self) -> InputBucket | None:
        """The bucket to which files can be added now, or None. Those added after a run are for the next one."""
        bucket = self.view.inputs
        if self.facts is None or bucket is None or self.view.state in _ENDING or self._is_deleted:
            return None
        return InputBucket(self._client.storage, bucket, is_own=is_bucket_of(self.view.name, bucket))

    @property
    def owes_files(self) -> bool:
        """Whether added files wait for a machine that is being loaded: `follow` will send them."""
        return self._run.owes_files

    async def add(
        self,
        uploads: Sequence[Upload],
        *,
        direct: Sequence[DirectUpload] = (),
        web: Sequence[WebFile] = (),
        replace: bool = False,
    ) -> None:
        """Add files to the inputs and send them to the running machine. Without one, the next run gets them.

        Arguments:
            uploads: files of this computer.
            direct: files that `inputs` began, and whose parts a browser has sent.
            web: files of the web.
            replace: files of the same names are replaced.

        Raises:
            InputError: another file of that name exists, and `replace` is false. Then no file of `direct` is added, and
                if the name is one of `uploads`, no file at all. Or the machine has changed such a file, which is known
                only after the save: then the new files are in the bucket, and the machine's are kept. A second call
                sends nothing twice.
            SessionError: it is ending, or saving failed; then the files are in the bucket and not on the machine.
        """
        inputs = self.inputs
        if inputs is None:
            raise self._too_late()
        uploads = [upload for upload in uploads if upload.key not in bootstrap.KEYS]
        names = {each.key for each in uploads} | {each.key for each in direct}
        if await in_thread(self.results.make_way, inputs.bucket, names):
            await self._run.notice_resources()
        with self._state.doing(Message("uploading"), after_end=self.view.is_over) as tell:
            added = await inputs.add(uploads, direct, web, tell, replace=replace)
        if not self.view.is_over:
            await self._run.look_again()  # the upload may have taken a long time
        give_way = partial(self.results.give_way, inputs.bucket, added, replace=replace)
        if self.view.state in _ENDING:
            raise self._too_late()
        if self.view.is_over:
            await in_thread(give_way)
        else:
            await self._run.send(give_way)

    def _too_late(self) -> SessionError:
        return SessionError("too-late", name=self.view.name, reference=self.view.reference)

    @property
    def _is_deleted(self) -> bool:
        return self.view.reason == EndReason.DELETED

    async def deletable_buckets(self) -> list[str]:
        """Return the buckets that `delete` would delete, to ask the user first.

        Raises:
            SessionError: the session is running, or another session needs its files.
        """
        if not self.view.is_over:
            raise SessionError("still-running", name=self.view.name, reference=self.view.reference)
        return await deletable_buckets(self._client, self.view, {task.id for task in self.tasks})

    async def delete(self, *, files: bool = False) -> None:
        """Delete the tasks of an ended session, and with `files` its own two buckets.

        A session that was never submitted has no task, but perhaps buckets.

        Raises:
            SessionError: as `deletable_buckets`; nothing was deleted.
        """
        if not self.view.is_over:
            raise SessionError("still-running", name=self.view.name, reference=self.view.reference)
        # The buckets first, so that a failure can be retried: only the tasks name the buckets.
        for bucket in await self.deletable_buckets() if files else ():
            await self._client.storage.delete_bucket(bucket)
        for task in self.tasks:
            with contextlib.suppress(NotFoundError):
                await self._client.delete(task)

    # — results —

    async def logs(self) -> str:
        """Return the output of the latest run so far."""
        text = output.plain(await self._client.output(self._run.task_id))
        return "\n".join(map(output.as_shown, text.split("\n")))

    @property
    def results(self) -> Results:
        """The saved files."""
        return Results(self._client.storage, self.view.results)

    async def panels(self) -> list[Panel]:
        """Return the panels of the plugins for this session."""
        return await in_thread(self._catalog.hooks.panels, self.view, self.results.head)

    # — inner —

    def _changed(self, before: SessionView, after: SessionView) -> None:
        """Send the events to the plugins. Returns at once."""
        self._catalog.hooks.changed(before, after, self._client.now())
        if self.temporary is not None and after.state is not State.PREPARING:
            self._cleaning = asyncio.ensure_future(in_thread(self.temporary.cleanup))
            self.temporary = None

    async def _streams(self) -> tuple[str, str]:
        return await output.streams(self._client, self._run.task_id)


def runs_of(session_id: str, tasks: Iterable[TaskSnapshot]) -> list[TaskSnapshot]:
    """Return the runs of a session, the oldest first."""
    return _one_running([task for task in sorted(tasks, key=_created) if task.session_id == session_id])


def sessions_in(tasks: Iterable[TaskSnapshot]) -> list[list[TaskSnapshot]]:
    """Return the runs of each session, the oldest first. The session with the newest run comes first."""
    found: dict[str, list[TaskSnapshot]] = {}
    for task in sorted(tasks, key=_created):
        found.setdefault(task.session_id, []).append(task)
    return sorted(map(_one_running, found.values()), key=lambda runs: _created(runs[-1]), reverse=True)


def _one_running(runs: list[TaskSnapshot]) -> list[TaskSnapshot]:
    """Leave out all but the first running task: of several concurrent starts, the first one continues (`is_first`)."""
    running = [task for task in runs if is_running(task)]
    return [*(task for task in runs if task not in running), *running[:1]]


def _created(task: TaskSnapshot) -> tuple[float, str]:
    return (task.created.timestamp() if task.created else 0.0), task.id
