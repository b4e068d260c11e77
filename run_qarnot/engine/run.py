"""One run of a session: its task is prepared, followed, saved and stopped. The session's view shows its state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from run_qarnot import bootstrap
from run_qarnot.catalog.apps import App
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core import times
from run_qarnot.core.errors import NotFoundError, RunQarnotError, SessionError, UnreachableError
from run_qarnot.core.messages import Message
from run_qarnot.core.state import FINAL, EndReason, State, observed_state
from run_qarnot.engine import idleness, output
from run_qarnot.engine.access import AppAccess
from run_qarnot.engine.added_files import AddedFiles
from run_qarnot.engine.client import Client
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.decide import Steps, decide, observe
from run_qarnot.engine.idleness import UseWatch
from run_qarnot.engine.periodic_snapshots import PeriodicSnapshots
from run_qarnot.engine.poller import until_tick
from run_qarnot.engine.preparation import Preparation
from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.engine.readiness import Readiness
from run_qarnot.engine.results import Results
from run_qarnot.engine.retry import backoff, retrying
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.engine.snapshots import take_snapshot
from run_qarnot.model import keys
from run_qarnot.model.connections import SSH_PORT, ConnectionKind
from run_qarnot.model.plan import SESSION_KEY, USER_KEY, Label, TaskPlan
from run_qarnot.model.view import SessionView

_PROBE_SECONDS = 0.3
_ABORT_AGAIN_SECONDS = 10.0  # a task that is still queued may refuse the first time
_SETTLED_SECONDS = 1.2  # after a submission; the cluster's times are whole seconds
RUNNING = frozenset({State.STARTING, State.READY})


@dataclass(frozen=True)
class RunIdentity:
    """The identity of a run, from which keys and addresses are derived.

    Arguments:
        token: the Qarnot token.
        session_id: with the token, it gives the values that are the same in all runs: base URL and app token.
        launch_id: with the token, it gives the key to the machine.
        user: the user name on the machine.
        app: that runs there.
    """

    token: str
    session_id: str
    launch_id: str
    user: str
    app: App


class SessionRun:
    """A run of a session. Create it with `planned` or `found`."""

    def __init__(self, client: Client, state: ViewPublisher, identity: RunIdentity, snapshot_seconds: int) -> None:
        self.facts: TaskSnapshot | None = None
        self.number = state.view.run
        self.identity = identity
        self.app = identity.app
        self.is_asked_to_stop = False  # the cluster has received the request, so that this process may end
        self._client = client
        self.state = state
        self._preparation: Preparation | None = None
        self._wake = asyncio.Event()
        key = keys.derive_session_key(identity.token, identity.launch_id)
        self.access = AppAccess(
            state.view.reference, identity.app, identity.user, key.private, identity.session_id, self._wake.set
        )
        self.access.public_key = key.public
        self._proxied = partial(
            ProxiedSession,
            id=keys.derive_base_url(identity.token, identity.session_id).strip("/"),
            key=keys.derive_proxy_key(identity.token, identity.session_id),
            user=identity.user,
            private_key=key.private,
        )
        self._readiness = Readiness(client, state, self.access, identity.app)
        self._use = UseWatch(state, self.access)
        self._added = AddedFiles(client, state)
        self._started = asyncio.get_running_loop().time()
        self._planned_keys = ""
        self._saves = PeriodicSnapshots(client, snapshot_seconds)
        self._stopping = False
        self._settles = 0.0  # on the event loop's clock
        self.is_settled = asyncio.Event()  # no other start of the same second can win any more

    @classmethod
    def planned(
        cls, client: Client, state: ViewPublisher, identity: RunIdentity, preparation: Preparation
    ) -> SessionRun:
        """Create a run that `follow` will prepare and submit."""
        run = cls(client, state, identity, preparation.plan.snapshot_seconds)
        run._planned_keys = preparation.plan.labels[Label.KEYS]
        run._preparation = preparation
        run._readiness.was_unready = True
        return run

    @classmethod
    def found(cls, client: Client, state: ViewPublisher, identity: RunIdentity, facts: TaskSnapshot) -> SessionRun:
        """Create a run from its task on the cluster."""
        run = cls(client, state, identity, facts.wanted_snapshot_seconds)
        run.observe(facts)
        run.is_settled.set()
        return run

    def publish_to(self, state: ViewPublisher) -> None:
        """Publish further changes to the view of another session object."""
        self.state = self._readiness.state = self._use.state = self._added.state = state

    @property
    def was_ready(self) -> bool:
        """Whether the app was seen to answer."""
        return self._readiness.was_ready

    @property
    def can_be_entered(self) -> bool:
        """Whether connections are offered."""
        return self._readiness.can_be_entered

    @property
    def view(self) -> SessionView:
        """The session's view, which shows this run until another one begins."""
        return self.state.view

    @property
    def is_over(self) -> bool:
        return self.view.run != self.number or self.view.is_over

    @property
    def task_id(self) -> str:
        """The id of its task; empty before the submission."""
        return self.facts.id if self.facts is not None else ""

    @property
    def _results(self) -> Results:
        return Results(self._client.storage, self.view.results)

    @property
    def plan(self) -> TaskPlan | None:
        """The plan, if this process made it."""
        return self._preparation.plan if self._preparation is not None else None

    # — access —

    @property
    def knows_session_key(self) -> bool:
        """Whether the machine accepts the derived session key, so that the user needs no key."""
        keys_label = self.facts.label(Label.KEYS) if self.facts else self._planned_keys
        return SESSION_KEY in keys_label.split("+") and not self.needs_other_token

    @property
    def takes_user_key(self) -> bool:
        """Whether the machine accepts the user's own key."""
        return self.facts is not None and USER_KEY in self.facts.label(Label.KEYS).split("+")

    @property
    def needs_other_token(self) -> bool:
        """Whether the run was started with another Qarnot token, so that our key differs from its machine's."""
        return self.facts is not None and self.access.needs_other_token(self.facts)

    def proxied(self) -> ProxiedSession | None:
        """Return what the page's server needs to proxy the app; None while it cannot."""
        if self.facts is None or all(each.kind is not ConnectionKind.PAGE for each in self.view.connections):
            return None
        ssh = next(forward for forward in self.facts.forwards if forward.app_port == SSH_PORT)
        assert self.app.port is not None
        return self._proxied(
            ssh=ssh,
            app_port=self.app.port,
            app_token=self.access.app_token(self.facts),
            base_path=self.access.base_path,
            mount=self.access.mount,
            host_keys=self.access.host_keys.fingerprints(self.view.attempt),
        )

    # — following —

    async def follow(self) -> None:
        """Prepare and submit a new run; then observe, decide, act and publish until it ends.

        Raises:
            RunQarnotError: the preparation failed. Later errors become part of the view.
        """
        try:
            if self._preparation is not None and self.facts is None:
                await self._prepare(self._preparation)
            pause = backoff()
            while not self.is_over:
                await self._settle()
                try:
                    steps = await self.look()
                except RunQarnotError as error:
                    self.state.tell_trouble(Message("retrying-session", what=error.sentence))
                    await self._sleep(next(pause))
                else:
                    pause = backoff()
                    await self._keep_saves()
                    if self.facts is not None and self.view.state in RUNNING:
                        await self._added.send_waiting(self.facts)
                    await self._act(steps)
            await self.close_job()
        finally:
            self.is_settled.set()
            await self.access.close()

    async def poll(self) -> None:
        """Poll once, for a list or `show`: find out whether the run is over and whether the app answers."""
        steps = await self.look()
        try:
            if steps.tunnel_to is not None:
                await self._pin_host_keys()
                await self.access.keep(steps.tunnel_to, self.view.attempt)
            await self._probe(steps)
            await self._poll_use()
        finally:
            await self.access.close()
            self.tell_connections()

    async def look(self) -> Steps:
        """Poll the cluster, batched with other sessions; return the next steps."""
        try:
            facts = await self._client.poll(self.task_id, self.view.name)
        except NotFoundError:
            self.deleted()
            return Steps()
        self.state.tell_trouble(None)
        (facts,) = await idleness.with_idle_ends([facts], self._results)
        self.observe(await output.with_reason(self._client, facts))
        age = asyncio.get_running_loop().time() - self._started
        return decide(self.view, facts, can_tunnel=self.access.can_tunnel(facts), age=age)

    async def look_again(self) -> None:
        """Poll the cluster at once, without waiting for the loop that follows the run."""
        try:
            self.observe(await retrying(self.state.tell_trouble, self._client.task, self.task_id, self.view.name))
        except NotFoundError:
            self.deleted()

    def observe(self, facts: TaskSnapshot) -> None:
        """Update the view from a snapshot of the task."""
        self.facts = facts
        self.access.learn(facts)
        if self.view.run != self.number:
            return
        unready = self._readiness.never_answered
        before, view = self.view, observe(self.view, facts, self._client.now(), ended_unready=unready)
        ends = times.from_text(facts.label(Label.ENDS)) or view.ends
        machines = () if view.is_over else facts.machines
        view = replace(view, ends=ends, machines=machines, machine_count=facts.machine_count)
        is_same_use = view.state is State.READY and view.attempt == before.attempt
        view = replace(
            view, idle_minutes=idleness.limit_of(facts), idle_since=before.idle_since if is_same_use else None
        )
        if (before.attempt, before.state) == (view.attempt, view.state):
            self.state.set(view)
        else:
            self._readiness.state_changed()
            self.state.move(view)
        if self.view.state in RUNNING and (note := self._readiness.token_note(facts)) is not None:
            self.state.tell_usual(note)
        self.tell_connections()

    def deleted(self) -> None:
        """Publish that the task no longer exists."""
        if self.view.run == self.number:
            self.state.change(state=State.ENDED, reason=EndReason.DELETED.value, connections=())

    # — acting —

    async def keep_on(self) -> None:
        """Make the run count as used now; errors are those of `Session.keep_on`."""
        await self._use.keep_on()

    async def save(self) -> None:
        """Take a snapshot of the results and wait until it is complete; errors are those of `Session.save`."""
        if self.facts is None or self.is_over:
            raise SessionError("too-late", name=self.view.name, reference=self.view.reference)
        with self.state.doing(Message("saving-files")):
            try:
                await self._snapshot(self.facts)
            except RunQarnotError as error:
                if isinstance(error, SessionError):
                    raise
                raise SessionError("save-failed", name=self.view.name, message=error.sentence) from error

    async def stop(self, *, save: bool = True) -> None:
        """Save, wait for it, stop, and wait for the end; errors are those of `Session.stop`."""
        self._stopping = True
        if self._preparation is not None:
            self._preparation.give_up()
        try:
            if self.facts is None:  # the preparation ends by itself, or submits a task that can be stopped
                await self.state.until(lambda _: self.facts is not None or self.is_over)
            if self.facts is not None:
                await self._stop(save=save)
        except NotFoundError:
            self.deleted()
        finally:
            self._stopping = False
            self._wake.set()
        await self.close_job()

    @property
    def owes_files(self) -> bool:
        """Whether added files wait for a machine that is being loaded: `follow` will send them."""
        return self._added.are_owed

    async def send(self, give_way: Callable[[], object]) -> None:
        """Send added input files to the machine, or later if it is still being loaded.

        The results are saved first: the machine receives every changed resource, which includes its own results, for
        the case of a preemption (`cloud.api`). A fresh copy does no harm; an older one would undo work.

        Arguments:
            give_way: called in a thread after the save: see `Results.give_way`.
        """
        if self.view.state not in RUNNING:
            self._added.wait_for_machine()
            return
        await self.save()
        await in_thread(give_way)
        assert self.facts is not None
        await self._client.refresh_resources(self.facts)

    async def notice_resources(self) -> None:
        """Have a machine that runs look at what is among its resources now."""
        if self.facts is not None and self.view.state in RUNNING:
            await self._client.refresh_resources(self.facts)

    async def close_job(self) -> None:
        """Terminate the job of an ended task, so that it does not count against the quota."""
        facts = self.facts  # only if the cluster reports the end, because terminating a job ends its tasks
        if facts is not None and facts.job is not None and observed_state(facts.state) in FINAL:
            with contextlib.suppress(RunQarnotError):  # it affects only a count in the account's quota
                await self._client.close_job(facts)

    # — inner: preparing —

    async def _prepare(self, preparation: Preparation) -> None:
        self._client.preparing[preparation.plan.launch_id] = preparation.plan
        try:
            with self.state.doing(Message("preparing")):
                await preparation.prepare()
                await self._submit(preparation)
        except RunQarnotError as error:
            if error.code == "runs-already":  # the session continues with that run
                raise
            if preparation.given_up and not isinstance(error, UnreachableError):
                self.state.change(state=State.ENDED, reason=EndReason.GIVEN_UP.value)
                return
            self.state.change(state=State.FAILED, reason=EndReason.FAILED.value, error=error.advice)
            raise
        finally:
            self._client.preparing.pop(preparation.plan.launch_id, None)
        if preparation.given_up and not self._stopping:
            await self._stop(save=False)

    async def _submit(self, preparation: Preparation) -> None:
        """Submit, even if cancelled meanwhile: the caller must know whether a task runs."""
        submitting = asyncio.create_task(preparation.submit())
        try:
            self.observe(await asyncio.shield(submitting))
            loop = asyncio.get_running_loop()
            self._settles = loop.time() + _SETTLED_SECONDS
            loop.call_at(self._settles, self._wake.set)
        except asyncio.CancelledError:
            self.observe(await submitting)
            if preparation.given_up:
                await self._stop(save=False)
            raise

    async def _settle(self) -> None:
        """Check once, when the second of the submission is over, whether another start was first; then give way."""
        if self.is_settled.is_set() or asyncio.get_running_loop().time() < self._settles:
            return
        assert self._preparation is not None
        assert self.facts is not None
        try:
            await self._preparation.check_again(self.facts)
        except RunQarnotError as error:
            if error.code != "runs-already":
                self.state.change(state=State.FAILED, reason=EndReason.FAILED.value, error=error.advice)
            raise
        finally:
            self.is_settled.set()

    # — inner: acting —

    async def _act(self, steps: Steps) -> None:
        if self.is_over:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + until_tick(loop.time(), steps.wait)
        if steps.tunnel_to is not None:
            await self._keep_way(steps)
        elif self.access.is_open:
            await self.access.let_go()
            self.tell_connections()
        await self._probe(steps)
        await self._poll_use()
        while steps.probe and self.access.is_open and self.view.state is State.STARTING and loop.time() < deadline:
            await self._sleep(_PROBE_SECONDS)
            await self._probe(steps)
        await self._sleep(deadline - loop.time())

    async def _keep_saves(self) -> None:
        if self.facts is None or self.view.state not in RUNNING or self._stopping:
            return
        await self._saves.keep(self.facts)
        if (problem := self._saves.problem) is not None:
            what = Message("not-saved", problem=problem)
            self.state.tell_trouble(Message("retrying-session", what=what))

    async def _keep_way(self, steps: Steps) -> None:
        assert steps.tunnel_to is not None
        await self._pin_host_keys()
        await self.access.keep(steps.tunnel_to, self.view.attempt)
        if (problem := self.access.problem) is not None:
            what = Message("way-elsewhere" if self.can_be_entered else "way-closed", problem=problem)
            self.state.tell_trouble(Message("retrying-session", what=what))
        self.tell_connections()

    async def _pin_host_keys(self) -> None:
        """Pin the host keys that the start script of this attempt printed, read over the platform's API."""
        host_keys, attempt = self.access.host_keys, self.view.attempt
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
        """Find out whether the app answers."""
        if self.facts is not None:
            await self._readiness.probe(steps, self.facts, self._results)

    async def _poll_use(self) -> None:
        """Find out since when nobody uses the app."""
        if self.facts is not None:
            await self._use.poll(self.facts)

    async def _snapshot(self, facts: TaskSnapshot) -> None:
        async def is_still_there() -> bool:
            await self.look()
            return not self.is_over and self.view.attempt <= max(facts.attempt, 1)

        await take_snapshot(self._client, facts, self.state.tell_trouble, is_still_there)
        self.state.change(saved=self._client.now())

    async def _stop(self, *, save: bool) -> None:
        tell = self.state.tell_trouble
        await self.look_again()
        if save and self.view.state in {*RUNNING, State.UNKNOWN}:
            await self.save()
        loop, asked = asyncio.get_running_loop(), float("-inf")
        with self.state.doing(Message("stopping")):
            while not self.is_over:
                facts = self.facts
                saves_itself = (
                    save and self.view.state is State.SAVING
                )  # the app has finished, and its results are being uploaded
                if facts is not None and not saves_itself and loop.time() > asked + _ABORT_AGAIN_SECONDS:
                    asked, self.is_asked_to_stop = loop.time(), True
                    await retrying(tell, self._client.abort, facts)
                await retrying(tell, self.look)
                await asyncio.sleep(0 if self.is_over else 0.3)

    # — inner: publishing —

    def tell_connections(self) -> None:
        """Publish the connections that there are now."""
        if self.facts is not None and not self.is_over:
            self._readiness.publish_connections(self.facts)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but wake up at once for a request of the user or a lost tunnel."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0))
        self._wake.clear()
