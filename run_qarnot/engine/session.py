"""One session: prepared, followed, saved, stopped. It tells its listeners a new `SessionView` at each change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from run_qarnot import keys, start
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.hooks import Panel
from run_qarnot.cloud.facts import TaskFacts
from run_qarnot.engine import output
from run_qarnot.engine.decide import Steps, decide, label_time, observe
from run_qarnot.engine.patience import patiently, pauses
from run_qarnot.engine.preparation import Preparation, upload
from run_qarnot.engine.tunnel import TunnelError
from run_qarnot.engine.watch import until_tick
from run_qarnot.engine.way import WayIn
from run_qarnot.errors import NotFoundError, RunQarnotError, SessionError
from run_qarnot.files import StoredFile, Upload
from run_qarnot.plan import SESSION_KEY, Label, TaskPlan
from run_qarnot.state import EndReason, State, observed_state
from run_qarnot.view import SessionView

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

__all__ = ["Session", "StoredFile", "Upload"]

_PROBE_SECONDS = 0.2
_ADDRESS_SECONDS = 300
_LOG_FILE = "logs/qarnot.log"  # where the original images write their link (§3.5)
_RUNNING = frozenset({State.STARTING, State.READY})
_TRYING_AGAIN = "Trying again; the session goes on."

log = logging.getLogger(__name__)
ViewListener = Callable[[SessionView], None]


class Session:
    """A session of an account. Make it with `new` or `found`."""

    def __init__(self, account: Account, token: str, view: SessionView, launch_id: str, user: str, app: App) -> None:
        self.view = view
        self.facts: TaskFacts | None = None
        self._account = account
        self._cloud = account.cloud
        self._app = app
        self._preparation: Preparation | None = None
        self._wake = asyncio.Event()
        self._way = WayIn(view.name, app, user, keys.derive_session_key(token, launch_id).private, self._wake.set)
        self._started = asyncio.get_running_loop().time()
        self._planned_keys = ""
        self._stopping = False
        self._seen_unready = False
        self._listeners: list[ViewListener] = []
        self._log = output.Follower(self._fetch_log)

    @classmethod
    def new(cls, account: Account, token: str, plan: TaskPlan, uploads: Sequence[Upload]) -> Session:
        """Make a session that `follow` will prepare and submit."""
        image = account.catalog.get(plan.labels[Label.IMAGE])
        app = image.effective_app
        view = SessionView(
            id="",
            name=plan.name,
            image=image.id,
            app=app.kind,
            app_title=app.title,
            state=State.PREPARING,
            attempt=0,
            created=account.now(),
            ends=label_time(plan.labels[Label.ENDS]),
            inputs=plan.inputs,
            results=plan.results,
        )
        session = cls(account, token, view, plan.launch_id, image.ssh_user, app)
        session._planned_keys = plan.labels[Label.KEYS]
        session._preparation = Preparation(account, plan, uploads, session._tell_note)
        session._seen_unready = True
        return session

    @classmethod
    def found(cls, account: Account, token: str, facts: TaskFacts) -> Session:
        """Make a session from what the cluster knows of it: nothing else is needed."""
        image = account.catalog.images.get(facts.label(Label.IMAGE))
        app = image.effective_app if image else account.catalog.apps.get(facts.label(Label.APP), BUILTIN["ssh"])
        view = SessionView(
            id=facts.id,
            name=facts.name,
            image=facts.label(Label.IMAGE),
            app=facts.label(Label.APP),
            app_title=app.title,
            state=State.UNKNOWN,
            attempt=0,
            created=facts.created,
            ends=label_time(facts.label(Label.ENDS)),
            inputs=facts.resources[-1] if facts.resources else None,
            results=facts.results,
        )
        session = cls(account, token, view, facts.launch_id, image.ssh_user if image else "root", app)
        session._see(facts)
        return session

    # — listening —

    def subscribe(self, listener: ViewListener) -> Callable[[], None]:
        """Have `listener` told each new view; returns the way to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def subscribe_log(self, listener: Callable[[list[str]], None]) -> Callable[[], None]:
        """Have `listener` told new lines of output; it is fetched only while somebody listens."""
        return self._log.subscribe(listener)

    async def log_is_complete(self) -> None:
        """Wait until the log's listeners have been told everything, once the session is over."""
        await self._log.finished()

    async def until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view; somebody must be following."""
        reached = asyncio.Event()
        unsubscribe = self.subscribe(lambda view: reached.set() if condition(view) else None)
        try:
            if not condition(self.view):
                await reached.wait()
            return self.view
        finally:
            unsubscribe()

    @property
    def ends_by_itself(self) -> bool:
        """Whether there is nothing to open, and the end of the command is what one waits for."""
        return self._app.ends_by_itself

    # — the way in —

    @property
    def knows_session_key(self) -> bool:
        """Whether the machine lets us in with the key that we derive, so that the user needs none."""
        keys_label = self.facts.label(Label.KEYS) if self.facts else self._planned_keys
        return SESSION_KEY in keys_label.split("+")

    @property
    def way_problem(self) -> str:
        """Why there is no tunnel though there should be one."""
        return self._way.problem

    def use_own_keys(self, private_key: str | None = None) -> None:
        """Open the tunnel with the user's own key, or keys (agent, `~/.ssh`): for sessions that know no other.

        Raises:
            SessionError: the key cannot be used.
        """
        try:
            self._way.use_own_keys(private_key)
        except TunnelError as error:
            raise SessionError("tunnel", name=self.view.name, problem=error) from error

    def use_identity(self, file: str | None) -> None:
        """Name the file of the user's private key in the printed command."""
        self._way.identity = file

    def app_address(self) -> str | None:
        """The app's address through this process' own tunnel, while that is open."""
        return next((door.url for door in self.view.doors if door.kind == "tunnel"), None)

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
            pause = pauses()
            while not self.view.is_over:
                try:
                    steps = await self._look()
                except RunQarnotError as error:
                    self._change(note=f"{error.what} {_TRYING_AGAIN}")
                    await self._sleep(next(pause))
                else:
                    pause = pauses()
                    await self._act(steps)
            await self._close_job()
        finally:
            await self._way.close()

    async def look(self) -> SessionView:
        """Look once, for a list or `show`: is it over, and does the app answer?"""
        steps = await self._look()
        try:
            if steps.tunnel_to is not None:
                await self._way.keep(steps.tunnel_to)
            await self._ask(steps)
        finally:
            await self._way.close()
            self._tell_doors()
        return self.view

    async def detail(self) -> SessionView:
        """Add what is asked seldom: cost, carbon, the time of the last save."""
        if self.view.id:
            cost = await self._account.call(self._cloud.cost, self.view.id)
            carbon = await self._account.call(self._cloud.carbon, self.view.id)
            saved = max((file.modified for file in await self.results()), default=None)
            self._change(cost=cost, carbon=carbon, saved=saved or self.view.saved)
            if self.facts is not None and self.view.state is State.FAILED:
                self._change(error=(await self._with_reason(self.facts)).error or self.view.error)
        return self.view

    # — acting —

    async def save(self) -> None:
        """Take a snapshot of the results and wait until it is complete.

        Raises:
            SessionError: it is not running, or the snapshot failed; the session goes on.
        """
        facts, note = self.facts, self.view.note
        if facts is None or self.view.state not in _RUNNING:
            raise SessionError("too-late", name=self.view.name)
        self._change(note="Saving your files…")
        try:
            await self._snapshot(facts)
        except SessionError:
            raise
        except RunQarnotError as error:
            raise SessionError("save-failed", name=self.view.name, message=error.what.rstrip(".")) from error
        finally:
            self._change(note=note)

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
            if self.view.id:  # else nothing was submitted yet, and the preparation ends by itself
                await self._stop(save=save)
        except NotFoundError:
            self._deleted()
        finally:
            self._stopping = False
            self._wake.set()
        await self._close_job()

    async def add(self, uploads: Sequence[Upload], *, replace: bool = False) -> None:
        """Add files to the inputs, and have them sent to the machine if it runs.

        Raises:
            InputError: another file of that name is there, and `replace` is false; nothing was sent.
        """
        if self.view.is_over or self.view.inputs is None or self.facts is None:
            raise SessionError("too-late", name=self.view.name)
        await upload(self._cloud.storage, self.view.inputs, uploads, self._tell_note, replace=replace)
        if self.view.state in _RUNNING:
            await self._account.call(self._cloud.refresh_resources, self.facts)
        self._tell_note("")

    async def delete(self, *, files: bool = False) -> None:
        """Forget an ended session; with its own two buckets, if asked."""
        if not self.view.is_over or self.facts is None:
            raise SessionError("still-running", name=self.view.name)
        await self._account.call(self._cloud.delete, self.facts)
        if files:
            for bucket in TaskPlan.bucket_names(self.view.name):
                if bucket in {self.view.inputs, self.view.results}:
                    await asyncio.to_thread(self._cloud.storage.delete_bucket, bucket)

    # — results —

    async def logs(self) -> str:
        """Return what the container printed so far."""
        return output.plain(await self._account.call(self._cloud.output, self.view.id))

    async def results(self) -> list[StoredFile]:
        """Return the files that were saved so far."""
        if self.view.results is None:
            return []
        return await asyncio.to_thread(self._cloud.storage.files, self.view.results)

    async def panels(self) -> list[Panel]:
        """Ask the plugins for what they want to show of this session."""
        return await asyncio.to_thread(self._account.catalog.hooks.panels, self.view, self._read_result)

    async def result_address(self, key: str) -> str:
        """Return an address at which a browser gets one file straight from the storage, for a few minutes."""
        return await asyncio.to_thread(self._cloud.storage.presign, self.view.results or "", key, _ADDRESS_SECONDS)

    async def result_head(self, key: str) -> bytes:
        """Return the first MiB of a file."""
        return await asyncio.to_thread(self._read_result, key)

    def _read_result(self, path: str) -> bytes:
        """The first MiB of a file: what plugins show is small, and a result may be as big as it likes."""
        return next(self._cloud.storage.read(self.view.results, path), b"") if self.view.results else b""

    def zip_results(
        self, files: Sequence[StoredFile] | None = None, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[bytes]:
        """Yield the results as one zip. Blocks: run it in a thread."""
        storage, bucket = self._cloud.storage, self.view.results or ""
        return storage.zip(bucket, storage.files(bucket) if files is None else files, cancelled=cancelled)

    def download_results(
        self,
        files: Sequence[StoredFile],
        folder: Path,
        progress: Callable[[int], None],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """Write results below a folder, and return those whose checksum could not be confirmed. Blocks, as above."""
        return self._cloud.storage.download(self.view.results or "", files, folder, progress, cancelled=cancelled)

    # — inner: preparing —

    async def _prepare(self, preparation: Preparation) -> None:
        try:
            await preparation.prepare()
            submitting = asyncio.create_task(preparation.submit())
            try:
                self._see(await asyncio.shield(submitting))
            except asyncio.CancelledError:
                self._see(await submitting)  # before we go, we know whether something runs
                raise
            if preparation.given_up:
                await self._stop(save=False)
        except RunQarnotError as error:
            if self._stopping or preparation.given_up:
                self._change(state=State.ENDED, reason=EndReason.GIVEN_UP.value, note="")
                return
            sentence = f"{error.what} {error.todo}"
            self._change(state=State.FAILED, reason=EndReason.FAILED.value, error=sentence, note="")
            raise

    # — inner: observing —

    async def _look(self) -> Steps:
        try:
            facts = await self._account.watch.look(self.view.id, self.view.name)
        except NotFoundError:
            self._deleted()
            return Steps()
        self._see(await self._with_reason(facts))
        age = asyncio.get_running_loop().time() - self._started
        return decide(self.view, facts, can_tunnel=self._way.can_tunnel(facts), age=age)

    async def _with_reason(self, facts: TaskFacts) -> TaskFacts:
        """Our start script says why it cannot go on; the cluster only knows an exit code."""
        if observed_state(facts.state) is State.FAILED:
            with contextlib.suppress(RunQarnotError):
                said = start.reason(await self._account.call(self._cloud.output, facts.id))
                return replace(facts, error=said or facts.error)
        return facts

    def _see(self, facts: TaskFacts) -> None:
        self.facts = facts
        view = observe(self.view, facts, self._account.now())
        if view.note.endswith(_TRYING_AGAIN):
            view = replace(view, note="")  # it answers again
        self._set(view)
        self._tell_doors()

    def _deleted(self) -> None:
        self._change(state=State.ENDED, reason=EndReason.DELETED.value, doors=(), note="")

    # — inner: carrying out —

    async def _act(self, steps: Steps) -> None:
        if self.view.is_over:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + until_tick(loop.time(), steps.wait)
        if steps.tunnel_to is not None:
            await self._keep_way(steps)
        elif self._way.is_open:
            await self._way.close()
            self._tell_doors()
        await self._ask(steps)
        while steps.probe and self._way.is_open and self.view.state is State.STARTING and loop.time() < deadline:
            await self._sleep(_PROBE_SECONDS)
            await self._ask(steps)
        await self._sleep(deadline - loop.time())

    async def _keep_way(self, steps: Steps) -> None:
        assert steps.tunnel_to is not None
        await self._way.keep(steps.tunnel_to)
        if self.view.state is State.READY and not self._stopping:
            problem = self._way.problem
            self._change(note=f"The way to it is interrupted: {problem}. {_TRYING_AGAIN}" if problem else "")
        self._tell_doors()

    async def _ask(self, steps: Steps) -> None:
        """Does the app answer? Through the tunnel; else by the link that it prints, or by its SSH greeting."""
        facts = self.facts
        if facts is None or self.view.state is not State.STARTING:
            return
        if steps.probe and self._way.is_open:
            ready = await self._way.answers()
        elif not steps.read_output:
            return
        elif self._app.ready_pattern is not None:
            ready = bool(facts.forwards) and self._way.found_link(await self._printed())
        else:
            ready = await self._way.greets(facts)
        if ready:
            self._ready()
        else:
            self._seen_unready = True

    def _ready(self) -> None:
        """It answers. Since when is known only to who has seen it not answer."""
        since = self.view.ready or (self._account.now() if self._seen_unready else None)
        note = f"Running: {self._app.title} is at work" if self._app.ends_by_itself else ""
        self._set(replace(self.view, state=State.READY, ready=since, note=note))
        self._tell_doors()

    async def _printed(self) -> str:
        """What the app printed; where the cluster shows no output, its log among the results."""
        with contextlib.suppress(RunQarnotError):
            if text := await self._account.call(self._cloud.output, self.view.id):
                return text
        if (bucket := self.view.results) is not None:
            with contextlib.suppress(RunQarnotError):
                content = await asyncio.to_thread(lambda: b"".join(self._cloud.storage.read(bucket, _LOG_FILE)))
                return content.decode(errors="replace")
        return ""

    async def _snapshot(self, facts: TaskFacts) -> None:
        call = self._account.call
        snapshot = await patiently(lambda: call(self._cloud.snapshot, facts), self._tell_note)
        wait = 0.2
        while True:
            status = await patiently(lambda: call(self._cloud.snapshot_status, facts, snapshot), self._tell_note)
            if status == "success":
                break
            if status == "failure":
                raise SessionError("save-failed", name=self.view.name, message="the cluster says that it failed")
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 3.0)
        self._change(saved=self._account.now())

    async def _stop(self, *, save: bool) -> None:
        call = self._account.call
        self._see(await patiently(lambda: call(self._cloud.task, self.view.id, self.view.name), self._tell_note))
        if save and self.view.state in _RUNNING:
            await self.save()
        if self.view.is_over:
            return
        self._change(note="Stopping…")
        facts = self.facts
        assert facts is not None
        await patiently(lambda: call(self._cloud.abort, facts), self._tell_note)
        while not self.view.is_over:
            await patiently(self._look, self._tell_note)
            if not self.view.is_over:
                await asyncio.sleep(0.3)

    async def _close_job(self) -> None:
        if self.facts is not None and self.facts.job is not None and self.view.is_over:
            with contextlib.suppress(RunQarnotError):  # only a count in the account's quota
                await self._account.call(self._cloud.close_job, self.facts)

    async def _fetch_log(self) -> tuple[str, bool]:
        """The output so far, and whether there will be no more."""
        over = self.view.is_over  # asked first: what was printed before the end is fetched after it
        text = ""
        if self.view.id:
            text = await self.logs()
        return text, over

    # — inner: telling —

    def _tell_note(self, note: str) -> None:
        self._change(note=note)

    def _tell_doors(self) -> None:
        if self.facts is not None and not self.view.is_over:
            self._change(doors=self._way.doors(self.facts) if self.view.state is State.READY else ())

    def _change(self, **changes: object) -> None:
        self._set(replace(self.view, **changes))  # type: ignore[arg-type]

    def _set(self, view: SessionView) -> None:
        if view == self.view:
            return
        if (view.attempt, view.state) != (self.view.attempt, self.view.state):
            log.info("%s: %s, attempt %d", view.name, view.state, view.attempt)
        before, self.view = self.view, view
        self._account.catalog.hooks.changed(before, view)
        for listener in list(self._listeners):
            listener(view)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but act at once when somebody wants something or the tunnel is lost."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0))
