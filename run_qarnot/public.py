"""The Python API: an account and its sessions, without `await`, in a script or a notebook.

    with run_qarnot.Account.open() as account:
        session = account.launch("base", inputs=["data"], hours=2)
        session.follow()
        print(session.connections[0].url)
        session.stop()
        session.results("results")

Every method blocks until it is done. What goes wrong is a `run_qarnot.core.errors.RunQarnotError`, whose text says what
happened and what to do. The sessions are those of the page and of the command, which may be used beside it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from run_qarnot.core.errors import SessionError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.names import make_name
from run_qarnot.core.state import State
from run_qarnot.engine import account as engine
from run_qarnot.engine import session as engine_session
from run_qarnot.engine.daemon_executor import DaemonExecutor, in_thread
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.connections import Connection
from run_qarnot.model.files import collect_inputs
from run_qarnot.model.paths import local_paths
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.settings import read_settings
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.view import SessionView
from run_qarnot.model.web_file import is_address, parse_web_file

T = TypeVar("T")
_END_SECONDS = 10.0  # what a session that is over gets to say why


class _Background:
    """An event loop in a thread of its own: a notebook has one already, and a script none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(DaemonExecutor("lookup", 8))
        threading.Thread(target=self._loop.run_forever, name="run-qarnot", daemon=True).start()

    def do(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """Do it; who presses Ctrl-C, or waits no longer than `seconds`, ends it too."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except BaseException:  # re-raised (Ctrl-C and the timeout) after cancelling the work
            future.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, None]) -> Any:
        """Begin it, and do not wait."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


class Account:
    """What a Qarnot token opens. Use it in a `with` block, or call `close`; sessions go on after that."""

    def __init__(self, inner: engine.Account, background: _Background) -> None:
        self._inner = inner
        self._background = background

    @classmethod
    def open(cls, token: str | None = None, *, cluster_url: str | None = None) -> Account:
        """Connect, and have the token checked.

        Arguments:
            token: of the account; `QARNOT_CLIENT_TOKEN` when left out. It is kept in memory only.
            cluster_url: the address of the cluster; `QARNOT_CLUSTER_URL`, else the cloud, when left out.

        Raises:
            InputError: it cannot be a token, or a variable of the environment is wrong.
            RefusedError: the cluster does not accept the token.
            UnreachableError: no cluster is there; within five seconds.
        """
        settings = read_settings(os.environ, Path.cwd())
        if cluster_url is not None:
            settings = replace(settings, cluster_url=cluster_url.rstrip("/"))
        background = _Background()
        catalog = find_plugins(settings).catalog()
        try:
            opened = background.do(engine.Account.open(settings, token or settings.token or "", catalog))
        except BaseException:  # re-raised (including Ctrl-C) after ending the thread
            background.end()
            raise
        return cls(opened, background)

    @property
    def images(self) -> list[str]:
        """The ids of the images of the catalog."""
        return [image.id for image in self._inner.catalog]

    def launch(
        self,
        image: str,
        *,
        name: str | None = None,
        inputs: Iterable[str | Path] = (),
        hours: float | None = None,
        options: Mapping[str, object] | None = None,
        ssh_key: str | None = None,
        machines: int | None = None,
        git: str = "",
    ) -> Session:
        """Start a new session; return once the cluster has it.

        Arguments:
            image: an id of the catalog.
            name: of the session: small letters, digits, hyphens; a friendly one when left out.
            inputs: files, folders whose content is uploaded, and addresses of files, `https://…[#sha256=…]`.
            hours: it stops by itself after so many; those of the image when left out.
            options: of the image, by name.
            machines: how many, for images that work on several; those of the image when left out.
            git: a repository that comes along, `URL[@REF]`; the token of a private one in `RUN_QARNOT_GIT_TOKEN`.
            ssh_key: your public key as a line, for ssh and VS Code.

        Raises:
            InputError, NotFoundError: an argument is not right; nothing was changed.
            RefusedError: the account may not start it.
            TransferError: a file could not be sent.
            UnreachableError: the cluster does not answer.
        """
        found = self._inner.catalog.get(image)
        spec = SessionSpec(
            image=found,
            name=make_name() if name is None else name,
            hours=found.hours if hours is None else hours,
            user_key=ssh_key,
            options=dict(options or {}),
            machines=machines,
            repository=parse_repository(git, token=self._inner.settings.git_token or ""),
        )

        async def start() -> engine_session.Session:
            given = list(inputs)
            web = [parse_web_file(str(each)) for each in given if is_address(str(each))]
            uploads = await in_thread(collect_inputs, [Path(each) for each in given if not is_address(str(each))])
            return await self._inner.start(spec, uploads, web)

        session = Session(self._background.do(start()), self._inner, self._background)
        session._go_on()
        session._wait(lambda view: session._inner.is_submitted or view.is_over)
        return session

    def sessions(self) -> list[Session]:
        """Return all sessions of the account that Run Qarnot has started, the newest first."""
        return [Session(each, self._inner, self._background) for each in self._background.do(self._inner.sessions())]

    def session(self, text: str) -> Session:
        """Find a session by its name, its id, or a unique beginning of either.

        Raises:
            NotFoundError: there is none, or there are several.
        """
        return Session(self._background.do(self._inner.find(text)), self._inner, self._background)

    def close(self) -> None:
        """Give up the connection."""
        self._background.do(self._inner.close())
        self._background.end()

    def __enter__(self) -> Account:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Session:
    """A named workspace: an image, its options, its files. Made by `Account`."""

    def __init__(self, inner: engine_session.Session, account: engine.Account, background: _Background) -> None:
        self._inner = inner
        self._account = account
        self._background = background
        self._following: Any = None

    def __repr__(self) -> str:
        return f"<Session {self.name}: {self.state}>"

    @property
    def name(self) -> str:
        return self._inner.view.name

    @property
    def state(self) -> str:
        """`preparing waiting loading starting ready saving stopping ended failed` or `unknown`, as last seen."""
        return self._inner.view.state.value

    @property
    def view(self) -> SessionView:
        """Everything that is known; `view.as_json()` is what `run-qarnot show --json` prints."""
        return self._inner.view

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The ways in, the best first: each has a `kind`, a `url`, a `command` and a `note`. A url is a secret."""
        return self._inner.view.connections

    def follow(self, tell: Callable[[str], object] | None = None, *, seconds: float | None = None) -> SessionView:
        """Wait until the app answers; of a command, until it has ended.

        Arguments:
            tell: is told each new phase, as a sentence.
            seconds: to wait at most; None for as long as it takes.

        Raises:
            SessionError: it has failed, or ended before.
            TimeoutError: it takes longer.
        """
        if self._inner.view.is_over:
            return self._inner.view
        unsubscribe = self._inner.subscribe(_telling(tell)) if tell is not None else lambda: None
        ends = self._inner.ends_by_itself

        def is_there(view: SessionView) -> bool:
            return view.is_over or (view.state is State.READY and not ends)

        self._go_on()
        try:
            view = self._wait(is_there, seconds)
        finally:
            unsubscribe()
        if view.state is State.FAILED:
            raise SessionError("session-failed", name=view.name, reason=view.error or Verbatim(""), inputs=view.inputs)
        if view.is_over and not ends:
            raise SessionError("session-ended", name=view.name, reference=view.reference, reason=view.phase)
        return view

    def start(self, *, hours: float | None = None) -> None:
        """Start the next run of an ended session: same name, files and packages.

        Arguments:
            hours: it stops by itself after so many; as before when left out.

        Raises:
            SessionError: it runs.
            RunQarnotError: it cannot be started.
        """
        changes: dict[str, Any] = {} if hours is None else {"hours": hours}
        self._background.do(self._account.start_again(self._inner, **changes))
        self._following = None
        self._go_on()
        self._wait(lambda view: self._inner.is_submitted or view.is_over)

    def stop(self, *, save: bool = True) -> None:
        """Save, wait for that, and stop; one that has ended is left as it is.

        Arguments:
            save: whether what was done since the last save is kept.
        """
        if not self._inner.view.is_over:
            self._background.do(self._inner.stop(save=save))

    def results(self, folder: str | Path) -> list[Path]:
        """Download what its runs have saved so far. Nothing that is there is overwritten.

        Arguments:
            folder: is made if it is not there.

        Returns:
            The paths of the files.

        Raises:
            InputError: another file is in the way; nothing was written.
            TransferError: a file could not be moved; what was moved is kept.
        """
        target = Path(folder)

        async def fetch() -> list[Path]:
            files = [file for file in await self._inner.results.files() if not file.is_folder]
            await in_thread(self._inner.results.download, files, target, lambda _: None)
            return [target / path for path in local_paths([file.key for file in files], target).values()]

        return self._background.do(fetch())

    def _go_on(self) -> None:
        """Have it followed in the background: that is what prepares, submits and watches it."""
        if self._following is None or self._following.done():
            self._following = self._background.begin(self._inner.follow())

    def _wait(self, condition: Callable[[SessionView], bool], seconds: float | None = None) -> SessionView:
        return self._background.do(self._until(condition), seconds)

    async def _until(self, condition: Callable[[SessionView], bool]) -> SessionView:
        """Wait for a view; what ends the following, such as a refusal, comes out of here."""
        waiting = asyncio.ensure_future(self._inner.until(condition))
        following = asyncio.wrap_future(self._following)
        await asyncio.wait({waiting, following}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done() and not waiting.result().is_over:
            return waiting.result()
        await asyncio.wait({following}, timeout=_END_SECONDS)  # which says why it is over
        if following.done() and (error := following.exception()) is not None:
            waiting.cancel()
            raise error
        return await waiting


def _telling(tell: Callable[[str], object]) -> Callable[[SessionView], None]:
    """Return a listener that tells each phase once."""
    last = ""

    def listen(view: SessionView) -> None:
        nonlocal last
        if (phase := str(view.phase)) != last:
            last = phase
            tell(phase)

    return listen
