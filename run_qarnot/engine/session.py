"""One session: prepared, followed, saved, stopped. It tells its listeners a new `SessionView` at each change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from run_qarnot import keys
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.cloud.facts import TaskFacts
from run_qarnot.doors import Place, Reach, doors
from run_qarnot.engine import output
from run_qarnot.engine.decide import Steps, decide, label_time, observe
from run_qarnot.engine.ports import free_ports
from run_qarnot.engine.tunnel import Tunnel, TunnelError, answers, speaks_ssh
from run_qarnot.errors import NotFoundError, RunQarnotError, SessionError
from run_qarnot.files import StoredFile, Upload
from run_qarnot.plan import SESSION_KEY, USER_KEY, Label, TaskPlan
from run_qarnot.state import EndReason, State
from run_qarnot.view import SessionView

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

__all__ = ["Session", "StoredFile", "Upload"]

_PROBE_SECONDS = 0.2
_LOG_SECONDS = 1.0
_LONGEST_BACK_OFF = 15.0
_LOG_FILE = "logs/qarnot.log"  # where the original images write their link (§3.5)

log = logging.getLogger(__name__)
ViewListener = Callable[[SessionView], None]
LogListener = Callable[[list[str]], None]


class Session:
    """A session of an account. Make it with `new` or `found`."""

    def __init__(self, account: Account, token: str, view: SessionView, launch_id: str, user: str, app: App) -> None:
        self.view = view
        self.facts: TaskFacts | None = None
        self.identity: str | None = None  # file of the user's private key, for the printed command
        self._account = account
        self._cloud = account.cloud
        self._app = app
        self._user = user
        self._app_token: str | None = None
        self._plan: TaskPlan | None = None
        self._uploads: Sequence[Upload] = ()
        self._tunnel = Tunnel(user, [keys.derive_session_key(token, launch_id).private])
        self._own_keys = False
        self._key_denied = False
        self._place: Place | None = None
        self._started = asyncio.get_running_loop().time()
        self._stop_asked = False
        self._seen_unready = False
        self._wake = asyncio.Event()
        self._view_listeners: list[ViewListener] = []
        self._log_listeners: list[LogListener] = []
        self._log_task: asyncio.Task[None] | None = None

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
            created=datetime.now(UTC),
            ends=label_time(plan.labels[Label.ENDS]),
            inputs=plan.inputs,
            results=plan.results,
        )
        session = cls(account, token, view, plan.launch_id, image.ssh_user, app)
        session._plan, session._uploads, session._seen_unready = plan, uploads, True
        return session

    @classmethod
    def found(cls, account: Account, token: str, facts: TaskFacts) -> Session:
        """Make a session from what the cluster knows of it: nothing else is needed."""
        image = account.catalog.images.get(facts.label(Label.IMAGE))
        app = image.effective_app if image else BUILTIN.get(facts.label(Label.APP), BUILTIN["ssh"])
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
        self._view_listeners.append(listener)
        return lambda: self._view_listeners.remove(listener) if listener in self._view_listeners else None

    def subscribe_log(self, listener: LogListener) -> Callable[[], None]:
        """Have `listener` told new lines of output; it is fetched only while somebody listens."""
        self._log_listeners.append(listener)
        if self._log_task is None or self._log_task.done():
            self._log_task = asyncio.get_running_loop().create_task(self._follow_log())

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._log_listeners.remove(listener)
            if not self._log_listeners and self._log_task is not None:
                self._log_task.cancel()
                self._log_task = None

        return unsubscribe

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

    # — following —

    async def follow(self) -> None:
        """Prepare and submit if new; then observe, decide, act and tell, until the end.

        Cancel it to stop watching: the session goes on, the tunnel closes.

        Raises:
            RunQarnotError: preparing failed. Whatever happens later becomes part of the view.
        """
        try:
            if self._plan is not None and not self.view.id:
                await self._prepare(self._plan)
            failures = 0
            while not self.view.is_over:
                try:
                    steps = await self._look()
                    failures = 0
                except RunQarnotError as error:
                    failures += 1
                    self._change(note=f"{error.what} Trying again; the session goes on.")
                    await self._sleep(min(2.0**failures / 2, _LONGEST_BACK_OFF))
                else:
                    await self._act(steps)
            await self._close_job()
        finally:
            await self._tunnel.close()

    async def look(self) -> SessionView:
        """Look once, for a list or `show`: is it over, and does the app answer?"""
        steps = await self._look()
        if steps.tunnel_to is not None:
            await self._keep_tunnel(steps)
        try:
            if steps.probe and self._tunnel.is_open:
                await self._probe()
            if steps.read_output:
                await self._find_link()
        finally:
            await self._tunnel.close()
            self._tell_doors()
        return self.view

    async def detail(self) -> SessionView:
        """Add what is asked seldom: cost, carbon, the time of the last save."""
        if self.view.id:
            cost = await self._account.call(self._cloud.cost, self.view.id)
            carbon = await self._account.call(self._cloud.carbon, self.view.id)
            saved = max((file.modified for file in await self.results()), default=None)
            self._change(cost=cost, carbon=carbon, saved=saved or self.view.saved)
        return self.view

    # — acting —

    async def save(self) -> None:
        """Take a snapshot of the results and wait until it is complete.

        Raises:
            SessionError: it is not running, or the snapshot failed; the session goes on.
        """
        if self.facts is None or self.view.state not in {State.STARTING, State.READY}:
            raise SessionError("too-late", name=self.view.name)
        note, self_facts = self.view.note, self.facts
        self._change(note="Saving your files…")
        try:
            await self._snapshot(self_facts)
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
        self._stop_asked = True
        self._wake.set()
        if not self.view.id:  # nothing was submitted yet: `_prepare` sees the wish, and nothing is to be saved
            return
        try:
            self._see(await self._account.call(self._cloud.task, self.view.id, self.view.name))
            if save and self.view.state in {State.STARTING, State.READY}:
                await self.save()
            if self.view.is_over or self.facts is None:
                return
            self._change(note="Stopping…")
            await self._account.call(self._cloud.abort, self.facts)
            await self._until_over()
        except NotFoundError:
            self._deleted()
        finally:
            self._stop_asked = False
        await self._close_job()

    async def add(self, uploads: Sequence[Upload]) -> None:
        """Add files to the inputs, and have them sent to the machine if it runs."""
        assert self.facts is not None
        if self.view.is_over or self.view.inputs is None:
            raise SessionError("too-late", name=self.view.name)
        await self._upload(self.view.inputs, uploads)
        if self.view.state in {State.STARTING, State.READY}:
            await self._account.call(self._cloud.refresh_resources, self.facts)

    async def delete(self, *, files: bool = False) -> None:
        """Forget an ended session; with its own two buckets, if asked."""
        assert self.facts is not None
        if not self.view.is_over:
            raise SessionError("still-running", name=self.view.name)
        await self._account.call(self._cloud.delete, self.facts)
        if files:
            for bucket in TaskPlan.bucket_names(self.view.name):
                if bucket in {self.view.inputs, self.view.results}:
                    await asyncio.to_thread(self._cloud.storage.delete_bucket, bucket)

    async def logs(self) -> str:
        """Return what the container printed so far."""
        return output.plain(await self._account.call(self._cloud.output, self.view.id))

    async def results(self) -> list[StoredFile]:
        """Return the files that were saved so far."""
        if self.view.results is None:
            return []
        return await asyncio.to_thread(self._cloud.storage.files, self.view.results)

    def zip_results(self, files: Sequence[StoredFile] | None = None) -> Iterator[bytes]:
        """Yield the results as one zip. Blocks: run it in a thread."""
        assert self.view.results is not None
        storage = self._cloud.storage
        return storage.zip(self.view.results, storage.files(self.view.results) if files is None else files)

    def download_results(self, files: Sequence[StoredFile], folder: Path, progress: Callable[[int], None]) -> None:
        """Write results below a folder. Blocks: run it in a thread."""
        assert self.view.results is not None
        self._cloud.storage.download(self.view.results, files, folder, progress)

    def app_address(self) -> str | None:
        """The app's address through this process' own tunnel, while that is open."""
        return next((door.url for door in self.view.doors if door.kind == "tunnel"), None)

    @property
    def has_key(self) -> bool:
        """Whether this process has a key that the machine takes, as far as is known."""
        if self.facts is None or self._key_denied:
            return False
        return self._own_keys or SESSION_KEY in self.facts.label(Label.KEYS).split("+")

    async def log_is_complete(self) -> None:
        """Wait until the log's listeners have been told everything, once the session is over."""
        if self._log_task is not None:
            await self._log_task

    def use_own_keys(self) -> None:
        """Open the tunnel with the user's own keys: for sessions that know no other."""
        self._tunnel = Tunnel(self._user, None)
        self._own_keys, self._key_denied = True, False

    # — preparing —

    async def _prepare(self, plan: TaskPlan) -> None:
        try:
            self._change(note="Making the buckets…")
            for bucket in (plan.inputs, plan.results):
                await asyncio.to_thread(self._cloud.storage.create, bucket)
            await self._upload(plan.inputs, self._uploads)
            if self._stop_asked:
                raise SessionError("given-up", name=plan.name)
            self._change(note="Asking the cluster for a machine…")
            self._see(await asyncio.shield(self._account.call(self._cloud.submit, plan)))
        except RunQarnotError as error:
            if self._stop_asked:
                self._change(state=State.ENDED, reason=EndReason.GIVEN_UP.value, note="")
                return
            self._change(state=State.FAILED, reason=EndReason.FAILED.value, error=f"{error.what} {error.todo}")
            raise

    async def _upload(self, bucket: str, uploads: Sequence[Upload]) -> None:
        if not uploads:
            return
        loop, total, moved = asyncio.get_running_loop(), sum(upload.path.stat().st_size for upload in uploads), 0
        given_up = threading.Event()

        def progress(count: int) -> None:  # called in the storage client's threads
            if given_up.is_set() or (self._stop_asked and not self.view.id):
                raise InterruptedError("the upload was given up")
            loop.call_soon_threadsafe(add, count)

        def add(count: int) -> None:
            nonlocal moved
            moved += count
            self._change(note=f"Uploading {len(uploads)} file(s): {_size(moved)} of {_size(total)}")

        add(0)
        try:
            await asyncio.to_thread(self._cloud.storage.upload, bucket, uploads, progress)
        finally:
            given_up.set()

    # — observing —

    async def _look(self) -> Steps:
        try:
            facts = await self._account.call(self._cloud.task, self.view.id, self.view.name)
        except NotFoundError:
            self._deleted()
            return Steps()
        self._see(facts)
        return self._steps(facts)

    def _steps(self, facts: TaskFacts) -> Steps:
        age = asyncio.get_running_loop().time() - self._started
        can_tunnel = self._app.port is not None and self.has_key
        return decide(self.view, facts, can_tunnel=can_tunnel, age=age)

    def _see(self, facts: TaskFacts) -> None:
        self.facts = facts
        if self._app.token_env and self._app_token is None:
            self._app_token = facts.constants.get(self._app.token_env)
        view = observe(self.view, facts, datetime.now(UTC))
        if not self._stop_asked and view.note.endswith("the session goes on."):
            view = replace(view, note="")  # it answers again
        self._set(view)
        self._tell_doors()

    def _deleted(self) -> None:
        self._change(state=State.ENDED, reason=EndReason.DELETED.value, doors=(), note="")

    async def _until_over(self) -> None:
        while not self.view.is_over:
            await self._look()
            if not self.view.is_over:
                await asyncio.sleep(0.3)

    # — carrying out —

    async def _act(self, steps: Steps) -> None:
        if self.view.is_over:
            return
        if steps.tunnel_to is not None:
            await self._keep_tunnel(steps)
        elif self._tunnel.is_open:
            await self._tunnel.close()
            self._tell_doors()
        if steps.read_output and self.view.state is State.STARTING:
            await self._find_link()
        deadline = asyncio.get_running_loop().time() + steps.wait
        while steps.probe and self._tunnel.is_open and self.view.state is State.STARTING:
            if await self._probe() or asyncio.get_running_loop().time() > deadline:
                return
            await self._sleep(_PROBE_SECONDS)
        await self._sleep(deadline - asyncio.get_running_loop().time())

    async def _keep_tunnel(self, steps: Steps) -> None:
        forward = steps.tunnel_to
        if forward is None or self._app.port is None or self._tunnel.leads_to(forward):
            return
        try:
            await self._tunnel.open(forward, self._app.port)
        except TunnelError as error:
            log.info("%s: %s", self.view.name, error)
            self._key_denied = error.denied
            if self.view.state is State.READY:
                self._change(note=f"The way to it is interrupted ({error}); trying again.")
        else:
            self._tunnel.when_lost(self._wake.set)
            self._place = None
            if self.view.state is State.READY:
                self._change(note="")
        self._tell_doors()

    async def _probe(self) -> bool:
        port, path = self._tunnel.port, self._app.probe_path
        if port is None or (path is not None and not await answers(port, path)):
            self._seen_unready = True
            return False
        self._ready()
        return True

    async def _find_link(self) -> None:
        """Know without a tunnel whether the app answers: by the link that it prints, or by its SSH greeting."""
        assert self.facts is not None
        forward = self._reach().ssh
        if self._app.ready_pattern is None:
            if self._app.ends_by_itself or (forward and await speaks_ssh(forward.host, forward.port)):
                self._ready("" if self._app.port is None else f"{self._app.title} should be ready.")
            return
        match = output.find_link(self._app.ready_pattern, await self._printed())
        if match is None or forward is None:
            self._seen_unready = True
        else:
            self._app_token = match.groupdict().get("token") or self._app_token
            self._ready()

    async def _printed(self) -> str:
        with contextlib.suppress(RunQarnotError):
            text = await self._account.call(self._cloud.output, self.view.id)
            if text:
                return text
        if (bucket := self.view.results) is not None:
            with contextlib.suppress(RunQarnotError):
                content = await asyncio.to_thread(lambda: b"".join(self._cloud.storage.read(bucket, _LOG_FILE)))
                return content.decode(errors="replace")
        return ""

    def _ready(self, note: str = "") -> None:
        """It answers. Since when is known only to who has seen it not answer."""
        since = self.view.ready or (datetime.now(UTC) if self._seen_unready else None)
        self._set(replace(self.view, state=State.READY, ready=since, note=note))
        self._tell_doors()

    async def _snapshot(self, facts: TaskFacts) -> None:
        snapshot = await self._account.call(self._cloud.snapshot, facts)
        wait = 0.2
        while (status := await self._account.call(self._cloud.snapshot_status, facts, snapshot)) != "success":
            if status == "failure":
                raise SessionError("save-failed", name=self.view.name, message="the cluster says that it failed")
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, 3.0)
        self._change(saved=datetime.now(UTC))

    async def _close_job(self) -> None:
        if self.facts is not None and self.facts.job is not None:
            with contextlib.suppress(RunQarnotError):  # only a count in the account's quota
                await self._account.call(self._cloud.close_job, self.facts)

    # — telling —

    def _tell_doors(self) -> None:
        if self.facts is None or self.view.is_over:
            return
        reach = self._reach()
        self._change(doors=doors(reach, self._where()) if self.view.state is State.READY else ())

    def _reach(self) -> Reach:
        assert self.facts is not None
        accepted = self.facts.label(Label.KEYS).split("+")
        return Reach(
            name=self.view.name,
            app_title=self._app.title,
            app_port=self._app.port,
            open_path=self._app.open_path,
            app_token=self._app_token,
            ssh_user=self._user,
            forwards=self.facts.forwards,
            session_key_accepted=self.has_key,
            user_key_accepted=USER_KEY in accepted,
        )

    def _where(self) -> Place:
        """Where this process runs; found out once for as long as the tunnel stays, so that commands do not change."""
        if self._place is None:
            port = self._tunnel.port if self._tunnel.is_open else None
            self._place = Place(port, next(iter(free_ports())), self.identity, os.devnull)
        return self._place

    def _change(self, **changes: object) -> None:
        self._set(replace(self.view, **changes))  # type: ignore[arg-type]

    def _set(self, view: SessionView) -> None:
        if view == self.view:
            return
        if (view.attempt, view.state) != (self.view.attempt, self.view.state):
            log.info("%s: %s, attempt %d", view.name, view.state, view.attempt)
        self.view = view
        for listener in list(self._view_listeners):
            listener(view)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but act at once when somebody wants something or the tunnel is lost."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0))

    async def _follow_log(self) -> None:
        seen, rest = "", ""
        while self._log_listeners:
            if self.view.id:
                with contextlib.suppress(RunQarnotError):
                    text = await self.logs()
                    lines, rest = output.complete_lines(rest + output.new_text(seen, text))
                    seen = text
                    for listener in list(self._log_listeners) if lines else ():
                        listener(lines)
            if self.view.is_over:
                return
            await asyncio.sleep(_LOG_SECONDS)


def _size(count: float) -> str:
    """Return a number of bytes for people, in units of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
