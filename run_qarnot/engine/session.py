"""One session: prepared, followed, saved, stopped. It tells its listeners a new `SessionView` at each change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from run_qarnot import bootstrap
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.hooks import Hooks, Panel
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.cloud.s3.browser_upload import DirectUpload
from run_qarnot.core import times
from run_qarnot.core.errors import NotFoundError, RunQarnotError, SessionError, UnreachableError
from run_qarnot.core.messages import Message, Sentence
from run_qarnot.core.names import is_bucket_of
from run_qarnot.core.state import FINAL, EndReason, State, observed_state
from run_qarnot.engine import idleness, output
from run_qarnot.engine.access import AppAccess
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.decide import NEVER_READY, Steps, decide, end_reason, first_view, observe, planned_view
from run_qarnot.engine.details import details, last_save, never_ready
from run_qarnot.engine.input_bucket import InputBucket
from run_qarnot.engine.leftovers import deletable_buckets
from run_qarnot.engine.periodic_snapshots import PeriodicSnapshots
from run_qarnot.engine.poller import until_tick
from run_qarnot.engine.preparation import Preparation
from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.engine.results import Results
from run_qarnot.engine.retry import backoff, retrying
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.engine.snapshots import take_snapshot
from run_qarnot.model import keys
from run_qarnot.model.connections import SSH_PORT, ConnectionKind, TunnelSpec
from run_qarnot.model.files import StoredFile, Upload
from run_qarnot.model.plan import SESSION_KEY, USER_KEY, Label, TaskPlan
from run_qarnot.model.view import SessionView

__all__ = ["Session", "StoredFile", "Upload"]

_PROBE_SECONDS = 0.3
_ABORT_AGAIN_SECONDS = 10.0  # a task that was still queued may have refused the first time
_RUNNING = frozenset({State.STARTING, State.READY})
_TOO_LATE = frozenset({State.SAVING, State.STOPPING, *FINAL})  # what is added now reaches no machine
OTHER_TOKEN = Message("needs-other-token")
_BLIND_SECONDS = 15.0  # for an SSH server to come up, before it is taken for out of reach
_LONG_SECONDS = 180.0  # to start an app; JupyterLab needs some, with packages to restore a minute


class Session:
    """A session of an account. Make it with `new` or `found`."""

    def __init__(
        self, client: Client, hooks: Hooks, token: str, view: SessionView, launch_id: str, user: str, app: App
    ) -> None:
        self.facts: TaskSnapshot | None = None
        self._state = ViewPublisher(view, self._changed)
        self._client = client
        self._hooks = hooks
        self._app = app
        self._preparation: Preparation | None = None
        self._wake = asyncio.Event()
        key = keys.derive_session_key(token, launch_id)
        self._access = AppAccess(view.reference, app, user, key.private, self._wake.set)
        self._access.public_key = key.public
        self._proxied = partial(
            ProxiedSession,
            id=keys.derive_base_url(token, launch_id).strip("/"),
            key=keys.derive_proxy_key(token, launch_id),
            user=user,
            private_key=key.private,
        )
        self._started = self._moved = asyncio.get_running_loop().time()
        self._planned_keys = ""
        self._saves = PeriodicSnapshots(client, 0)
        self.is_asked_to_stop = False  # the cluster was: who goes away now leaves nothing that runs on
        self._stopping = False
        self._owes_files = False
        self._next_look = 0.0  # for its use
        self._seen_unready = False
        self._was_ready = False
        self._log = output.Follower(self._streams, is_over=lambda: self.view.is_over)

    @classmethod
    def new(cls, client: Client, catalog: Catalog, token: str, plan: TaskPlan, uploads: Sequence[Upload]) -> Session:
        """Make a session that `follow` will prepare and submit."""
        image = catalog.get(plan.labels[Label.IMAGE])
        app = image.effective_app
        view = planned_view(plan, app.title)
        session = cls(client, catalog.hooks, token, view, plan.launch_id, image.ssh_user, app)
        session._planned_keys = plan.labels[Label.KEYS]
        session._saves = PeriodicSnapshots(client, plan.snapshot_seconds)
        session._preparation = Preparation(client, plan, uploads, session._state.tell_doing)
        session._seen_unready = True
        return session

    @classmethod
    def found(cls, client: Client, catalog: Catalog, token: str, facts: TaskSnapshot) -> Session:
        """Make a session from what the cluster knows of it: nothing else is needed."""
        image = catalog.images.get(facts.label(Label.IMAGE))
        app = image.effective_app if image else catalog.apps.get(facts.label(Label.APP), BUILTIN["ssh"])
        user, view = image.ssh_user if image else "root", first_view(facts, app.title)
        session = cls(client, catalog.hooks, token, view, facts.launch_id, user, app)
        session._saves = PeriodicSnapshots(client, facts.wanted_snapshot_seconds)
        session._observe(facts)
        return session

    # — listening —

    @property
    def view(self) -> SessionView:
        """What is known now."""
        return self._state.view

    def subscribe(self, listener: Callable[[SessionView], None]) -> Callable[[], None]:
        """Have `listener` told each new view; returns the way to end that."""
        return self._state.subscribe(listener)

    def subscribe_log(
        self, listener: Callable[[list[str]], None], trouble: Callable[[Message], None] = lambda _: None
    ) -> Callable[[], None]:
        """Have `listener` told new lines of output, and `trouble` why none come; fetched only for who listens."""
        return self._log.subscribe(listener, trouble)

    async def log_is_complete(self) -> None:
        """Wait until the log's listeners have been told everything, once it is over; raise what keeps them from it."""
        await self._log.finished()

    async def until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view; somebody must be following."""
        return await self._state.until(condition)

    @property
    def reads(self) -> tuple[str, ...]:
        """The buckets whose files it gets: its own, and those of sessions from which it was continued."""
        if self.facts is not None:
            return self.facts.resources
        return self._preparation.plan.resources if self._preparation is not None else ()

    @property
    def ends_by_itself(self) -> bool:
        """Whether there is nothing to open, and the end of the command is what one waits for."""
        return self._app.ends_by_itself

    # — the way in —

    @property
    def knows_session_key(self) -> bool:
        """Whether the machine lets us in with the key that we derive, so that the user needs none."""
        keys_label = self.facts.label(Label.KEYS) if self.facts else self._planned_keys
        return SESSION_KEY in keys_label.split("+") and not self.needs_other_token

    @property
    def takes_user_key(self) -> bool:
        """Whether the machine lets the user in with a key of their own."""
        return self.facts is not None and USER_KEY in self.facts.label(Label.KEYS).split("+")

    @property
    def needs_other_token(self) -> bool:
        """Whether it was started with another Qarnot token, from which the key to its machine is derived."""
        return self.facts is not None and self._access.needs_other_token(self.facts)

    @property
    def access_problem(self) -> Sentence | None:
        """Why there is no tunnel though there should be one."""
        return self._access.problem

    def use_own_keys(self, private_key: str | None = None) -> None:
        """Open the tunnel with the user's own key, or keys (agent, `~/.ssh`): for sessions that know no other.

        Raises:
            SessionError: the key cannot be used.
        """
        self._access.use_own_keys(private_key)

    def use_identity(self, file: str | None) -> None:
        """Name the file of the user's private key in the printed command."""
        self._access.identity = file

    def app_address(self) -> str | None:
        """The app's address through this process' own tunnel, while that is open."""
        return next((connection.url for connection in self.view.connections if connection.kind == "tunnel"), None)

    def tunnel_spec(self) -> TunnelSpec | None:
        """What a launcher on the visitor's own computer needs, once it is of use; None before."""
        if self.facts is None or not self._can_be_entered:
            return None
        return self._access.tunnel_spec(self.facts, self.view.attempt)

    def lead_through_page(self) -> None:
        """Offer the connection `page` and no tunnel: the visitor's browser is not on this computer."""
        self._access.through_page = True
        self._tell_connections()

    def proxied(self) -> ProxiedSession | None:
        """Return what the page's server needs to lead visitors to the app; None while there is no such way."""
        if self.facts is None or all(
            connection.kind is not ConnectionKind.PAGE for connection in self.view.connections
        ):
            return None
        ssh = next(forward for forward in self.facts.forwards if forward.app_port == SSH_PORT)
        way, port = self._access, self._app.port
        assert port is not None
        return self._proxied(
            ssh=ssh,
            app_port=port,
            app_token=way.app_token(self.facts),
            base_path=way.base_path,
            mount=way.mount,
            host_keys=way.host_keys.fingerprints(self.view.attempt),
        )

    @property
    def open_path(self) -> str:
        """Of the app's page, without a slash in front."""
        return self._app.open_path.lstrip("/")

    # — following —

    async def follow(self) -> None:
        """Prepare and submit if new; then observe, decide, act and tell, until the end.

        Cancel it to stop watching: the session goes on, the tunnel closes.

        Raises:
            RunQarnotError: preparing failed. Whatever happens later becomes part of the view.
        """
        try:
            if self._preparation is not None and not self.view.id:
                await self._prepare(self._preparation)
            pause = backoff()
            while not self.view.is_over:
                try:
                    steps = await self._poll()
                except RunQarnotError as error:
                    self._state.tell_trouble(Message("retrying-session", what=error.sentence))
                    await self._sleep(next(pause))
                else:
                    pause = backoff()
                    await self._keep_saves()
                    await self._send_added()
                    await self._act(steps)
            await self._close_job()
        finally:
            await self._access.close()

    async def poll(self) -> SessionView:
        """Poll once, for a list or `show`: is it over, and does the app answer?"""
        steps = await self._poll()
        try:
            if steps.tunnel_to is not None:
                await self._pin_host_keys()
                await self._access.keep(steps.tunnel_to, self.view.attempt)
            await self._probe(steps)
            await self._look_for_use()
        finally:
            await self._access.close()
            self._tell_connections()
        return self.view

    async def detail(self) -> SessionView:
        """Add what is asked seldom: cost, carbon, the time of the last save."""
        if self.facts is not None:
            self._state.learn(**await details(self._client, self.facts, self.view, self.results))
            if self.view.reason == EndReason.FINISHED:  # it was found after its end
                self.facts = await idleness.with_idle_end(self.facts, self.results)
                self._state.learn(reason=end_reason(self.facts).value)
            if not self._was_ready and await never_ready(self._client, self._app, self.view, self.results):
                self._state.learn(state=State.FAILED, reason=EndReason.FAILED.value, error=NEVER_READY)
        return self.view

    async def look_for_saves(self) -> SessionView:
        """Ask the storage when it was saved last: saves come by themselves, and nobody tells.

        Raises:
            RunQarnotError: the storage does not say.
        """
        self._state.learn(**await last_save(self._client, self.view, self.results))
        return self.view

    # — acting —

    async def keep_on(self) -> None:
        """Have it taken for used now, so that it does not stop soon because nobody uses it.

        Raises:
            SessionError: there is no way to its machine.
        """
        await self._access.keep_on()
        self._plan_look(2)  # it has to look first
        self._state.learn(idle_since=None)

    async def save(self) -> None:
        """Take a snapshot of the results and wait until it is complete.

        Raises:
            SessionError: it is not running, or the snapshot failed; the session goes on.
        """
        if self.facts is None or self.view.is_over:
            raise SessionError("too-late", name=self.view.name, reference=self.view.reference)
        with self._state.doing(Message("saving-files")):
            try:
                await self._snapshot(self.facts)
            except RunQarnotError as error:
                if isinstance(error, SessionError):
                    raise
                raise SessionError("save-failed", name=self.view.name, message=error.sentence) from error

    async def stop(self, *, save: bool = True) -> None:
        """Save, wait for it, stop, and wait for the end.

        Raises:
            SessionError: it could not be saved; then it is still running.
            RunQarnotError: the cluster does not answer, or refuses.
        """
        self._stopping = True
        if self._preparation is not None:
            self._preparation.give_up()
        try:
            if not self.view.id:  # it is being prepared: that ends by itself, or gets as far as to be stopped
                await self.until(lambda view: bool(view.id) or view.is_over)
            if self.view.id:
                await self._stop(save=save)
        except NotFoundError:
            self._deleted()
        finally:
            self._stopping = False
            self._wake.set()
        await self._close_job()

    @property
    def inputs(self) -> InputBucket | None:
        """The bucket to which files can be added now, if there is one."""
        bucket = self.view.inputs
        if self.facts is None or bucket is None or self.view.state in _TOO_LATE:
            return None
        return InputBucket(self._client.storage, bucket, is_own=is_bucket_of(self.view.name, bucket))

    @property
    def owes_files(self) -> bool:
        """Whether files were added that a machine which is being loaded may not have: `follow` will send them."""
        return self._owes_files and self.view.state is not State.WAITING

    async def add(
        self, uploads: Sequence[Upload], *, direct: Sequence[DirectUpload] = (), replace: bool = False
    ) -> None:
        """Add files to the inputs, and have them sent to the machine if it runs.

        It is saved before: the machine gets every resource that has changed, and its own results are among them, for
        the case of a preemption (`cloud.api`). What was saved a moment ago does no harm there; older work would.

        Arguments:
            uploads: files of this computer.
            direct: files that `inputs` began, and whose parts a browser has sent.
            replace: files of the same names are replaced.

        Raises:
            InputError: another file of that name is there, and `replace` is false. Then none of `direct` is added; if
                it is one of `uploads`, nothing is. Or the machine has changed such a file, which is known only once
                it was saved; then the new ones are in the bucket, not on the machine. Asking again sends nothing twice.
            SessionError: it is over, or could not be saved; then the files are in the bucket, not on the machine.
        """
        inputs = self.inputs
        if inputs is None:
            raise SessionError("too-late", name=self.view.name, reference=self.view.reference)
        with self._state.doing(Message("uploading")) as tell:
            added = await inputs.add(uploads, direct, tell, replace=replace)
        await self._look()  # the way to the bucket may have been long
        if self.facts is None or self.view.state in _TOO_LATE:
            raise SessionError("too-late", name=self.view.name, reference=self.view.reference)
        if self.view.state in _RUNNING:
            await self.save()
            await in_thread(self.results.give_way, inputs.bucket, added, replace=replace)
            await self._client.refresh_resources(self.facts)
        else:  # a machine that is being loaded may have looked into the bucket already
            self._owes_files = True

    async def deletable_buckets(self) -> list[str]:
        """Return the buckets that `delete` deletes with the files, to ask the user first.

        Raises:
            SessionError: the session still runs, or something else needs its files.
        """
        if not self.view.is_over:
            raise SessionError("still-running", name=self.view.name, reference=self.view.reference)
        return await deletable_buckets(self._client, self.view)

    async def delete(self, *, files: bool = False) -> None:
        """Forget an ended session; with its own two buckets, if asked.

        Of one that was never submitted the cluster has no task, but perhaps buckets.

        Raises:
            SessionError: as `deletable_buckets`; nothing was deleted.
        """
        if not self.view.is_over:
            raise SessionError("still-running", name=self.view.name, reference=self.view.reference)
        # The buckets first, so that what fails here can be tried again: only the task knows them.
        for bucket in await self.deletable_buckets() if files else ():
            await self._client.storage.delete_bucket(bucket)
        if self.facts is not None:
            await self._client.delete(self.facts)

    # — results —

    async def logs(self) -> str:
        """Return what the container printed so far."""
        text = output.plain(await self._client.output(self.view.id))
        return "\n".join(map(output.as_shown, text.split("\n")))

    @property
    def results(self) -> Results:
        """The files that were saved so far."""
        return Results(self._client.storage, self.view.results)

    async def panels(self) -> list[Panel]:
        """Ask the plugins for what they want to show of this session."""
        return await in_thread(self._hooks.panels, self.view, self.results.head)

    # — inner: preparing —

    async def _prepare(self, preparation: Preparation) -> None:
        self._client.preparing[preparation.plan.launch_id] = preparation.plan
        try:
            with self._state.doing(Message("preparing")):
                await preparation.prepare()
                await self._submit(preparation)
        except RunQarnotError as error:
            if preparation.given_up and not isinstance(error, UnreachableError):
                self._state.change(state=State.ENDED, reason=EndReason.GIVEN_UP.value)
                return
            self._state.change(state=State.FAILED, reason=EndReason.FAILED.value, error=error.advice)
            raise
        finally:
            self._client.preparing.pop(preparation.plan.launch_id, None)
        if preparation.given_up and not self._stopping:
            await self._stop(save=False)

    async def _submit(self, preparation: Preparation) -> None:
        """Submit, and see it through: whoever goes meanwhile must know whether something runs."""
        submitting = asyncio.create_task(preparation.submit())
        try:
            self._observe(await asyncio.shield(submitting))
        except asyncio.CancelledError:
            self._observe(await submitting)
            if preparation.given_up:
                await self._stop(save=False)
            raise

    # — inner: observing —

    async def _poll(self) -> Steps:
        try:
            facts = await self._client.poll(self.view.id, self.view.name)
        except NotFoundError:
            self._deleted()
            return Steps()
        self._state.tell_trouble(None)
        facts = await idleness.with_idle_end(facts, self.results)
        self._observe(await output.with_reason(self._client, facts))
        age = asyncio.get_running_loop().time() - self._started
        return decide(self.view, facts, can_tunnel=self._access.can_tunnel(facts), age=age)

    async def _look(self) -> None:
        """Poll for what is to be done next, whoever follows."""
        try:
            task = await retrying(self._state.tell_trouble, self._client.task, self.view.id, self.view.name)
            self._observe(task)
        except NotFoundError:
            self._deleted()

    def _observe(self, facts: TaskSnapshot) -> None:
        self.facts = facts
        self._access.learn(facts)
        unready = self._seen_unready and not (self._was_ready or self._app.ends_by_itself)
        before, view = self.view, observe(self.view, facts, self._client.now(), ended_unready=unready)
        ends = times.from_text(facts.label(Label.ENDS)) or view.ends
        view = replace(view, ends=ends, machines=() if view.is_over else facts.machines)
        is_same_use = view.state is State.READY and view.attempt == before.attempt
        view = replace(
            view, idle_minutes=idleness.limit_of(facts), idle_since=before.idle_since if is_same_use else None
        )
        if (before.attempt, before.state) == (view.attempt, view.state):
            self._state.set(view)
        else:
            self._moved = asyncio.get_running_loop().time()
            self._state.move(view)
        if self._token_note is not None and self.view.state in _RUNNING:
            self._state.tell_usual(self._token_note)
        self._tell_connections()

    def _deleted(self) -> None:
        self._state.change(state=State.ENDED, reason=EndReason.DELETED.value, connections=())

    # — inner: carrying out —

    async def _act(self, steps: Steps) -> None:
        if self.view.is_over:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + until_tick(loop.time(), steps.wait)
        if steps.tunnel_to is not None:
            await self._keep_way(steps)
        elif self._access.is_open:
            await self._access.let_go()
            self._tell_connections()
        await self._probe(steps)
        await self._look_for_use()
        while steps.probe and self._access.is_open and self.view.state is State.STARTING and loop.time() < deadline:
            await self._sleep(_PROBE_SECONDS)
            await self._probe(steps)
        await self._sleep(deadline - loop.time())

    async def _look_for_use(self) -> None:
        """Ask the machine, now and then, since when nobody uses it."""
        is_time = self.view.idle_minutes and asyncio.get_running_loop().time() >= self._next_look
        if is_time and self.view.state is State.READY and self.facts is not None:
            self._plan_look()
            found = (await self._access.idle()).within(self.facts.created)
            self._state.learn(idle_since=found.since)

    def _plan_look(self, looks: int = 1) -> None:
        seconds = min(idleness.LOOK_SECONDS, (self.view.idle_minutes or 0) * 10)
        self._next_look = asyncio.get_running_loop().time() + seconds * looks

    async def _keep_saves(self) -> None:
        if self.facts is None or self.view.state not in _RUNNING or self._stopping:
            return
        await self._saves.keep(self.facts)
        if (problem := self._saves.problem) is not None:
            what = Message("not-saved", problem=problem)
            self._state.tell_trouble(Message("retrying-session", what=what))

    async def _send_added(self) -> None:
        """Send what was added while the machine was loading."""
        if self.facts is None or not self._owes_files or self.view.state not in _RUNNING:
            return
        try:
            with self._state.doing(Message("sending-added")):
                await self._client.refresh_resources(self.facts)
                self._owes_files = False
        except RunQarnotError as error:
            what = Message("added-unsent", problem=error.sentence)
            self._state.tell_trouble(Message("retrying-session", what=what))

    async def _keep_way(self, steps: Steps) -> None:
        assert steps.tunnel_to is not None
        await self._pin_host_keys()
        await self._access.keep(steps.tunnel_to, self.view.attempt)
        if (problem := self._access.problem) is not None:
            what = Message("way-elsewhere" if self._can_be_entered else "way-closed", problem=problem)
            self._state.tell_trouble(Message("retrying-session", what=what))
        self._tell_connections()

    async def _pin_host_keys(self) -> None:
        """Hold this attempt's machine to the host keys that its start script printed, read over the platform's API."""
        host_keys, attempt = self._access.host_keys, self.view.attempt
        if (
            self.facts is None
            or not bootstrap.prints_host_keys(self.facts.constants)
            or not host_keys.is_asked(attempt)
        ):
            return
        texts = await output.printed(self._client, self.facts.id)
        found = set().union(*map(output.find_host_keys, texts))
        host_keys.pin(frozenset(found), attempt)

    async def _probe(self, steps: Steps) -> None:
        """Does the app answer? Through the tunnel; else by the link that it prints, or by its SSH greeting."""
        facts = self.facts
        if facts is None or self.view.state is not State.STARTING:
            return
        if steps.probe and self._access.is_open:
            ready = await self._access.answers()
        elif steps.read_output:
            places = partial(output.printed, self._client, facts.id), partial(output.log_file, self.results)
            ready = await self._access.seems_ready(facts, places)
        else:
            return
        if ready:
            self._ready()
        else:
            self._not_ready()

    def _ready(self) -> None:
        """It answers. Since when is known only to who has seen it not answer; else it is a little after its start."""
        assert self.facts is not None
        self._was_ready = True
        since = self.view.ready or (self._client.now() if self._seen_unready else self.facts.started)
        usual = self._token_note
        if self._app.ends_by_itself:
            usual = Message("working", app=self._app.title)
        elif self.view.attempt > 1:
            usual = Message("ready-again", app=self._app.title)
        elif self._access.ignores_base:
            usual = Message("ready-elsewhere", app=self._app.title)
        where = {"base_path": self._access.base_path, "mount": self._access.mount}
        ways = self._access.connections(self.facts, self.view.attempt)  # in the same view: ready means that it opens
        self._state.tell_usual(usual, state=State.READY, ready=since, connections=ways, **where)

    @property
    def _token_note(self) -> Message | None:
        """What to do about a session that was started with another token; None where its app opens all the same."""
        if (
            self.ends_by_itself
            or not self.needs_other_token
            or any(connection.kind == "https" for connection in self.view.connections)
        ):
            return None
        return OTHER_TOKEN

    def _not_ready(self) -> None:
        self._seen_unready = True
        if asyncio.get_running_loop().time() > self._moved + _LONG_SECONDS:
            self._state.tell_usual(Message("silent-for-long", app=self._app.title))

    async def _snapshot(self, facts: TaskSnapshot) -> None:
        async def is_still_there() -> bool:
            await self._poll()
            return not self.view.is_over and self.view.attempt <= max(facts.attempt, 1)

        await take_snapshot(self._client, facts, self._state.tell_trouble, is_still_there)
        self._state.change(saved=self._client.now())

    async def _stop(self, *, save: bool) -> None:
        tell = self._state.tell_trouble
        await self._look()
        if save and self.view.state in {*_RUNNING, State.UNKNOWN}:
            await self.save()
        loop, asked = asyncio.get_running_loop(), float("-inf")
        with self._state.doing(Message("stopping")):
            while not self.view.is_over:
                facts = self.facts
                saves_itself = save and self.view.state is State.SAVING  # it has finished, and its results are wanted
                if facts is not None and not saves_itself and loop.time() > asked + _ABORT_AGAIN_SECONDS:
                    asked, self.is_asked_to_stop = loop.time(), True
                    await retrying(tell, self._client.abort, facts)
                await retrying(tell, self._poll)
                await asyncio.sleep(0 if self.view.is_over else 0.3)

    async def _close_job(self) -> None:
        facts = self.facts  # only if the cluster itself said that it ended: terminating a job ends what is in it
        if facts is not None and facts.job is not None and observed_state(facts.state) in FINAL:
            with contextlib.suppress(RunQarnotError):  # only a count in the account's quota
                await self._client.close_job(facts)

    # — inner: telling —

    def _changed(self, before: SessionView, after: SessionView) -> None:
        """Tell the plugins what happened. Returns at once."""
        self._hooks.changed(before, after, self._client.now())

    async def _streams(self) -> tuple[str, str]:
        return await output.streams(self._client, self.view.id)

    def _tell_connections(self) -> None:
        if self.facts is not None and not self.view.is_over:
            ways = self._access.connections(self.facts, self.view.attempt) if self._can_be_entered else ()
            self._state.change(connections=ways)

    @property
    def _can_be_entered(self) -> bool:
        """Whether there are ways in: the app answers, or it may, and only somebody elsewhere can see that."""
        if self.view.state is not State.STARTING:
            return self.view.state is State.READY
        waited = asyncio.get_running_loop().time() - self._moved
        return self._access.sees_nothing and waited > _BLIND_SECONDS

    async def _sleep(self, seconds: float) -> None:
        """Wait, but act at once when somebody wants something or the tunnel is lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0))
        self._wake.clear()
