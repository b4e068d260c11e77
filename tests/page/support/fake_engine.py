"""An engine without a cluster: the interface of `run_qarnot.engine` that the page uses, driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from run_qarnot.catalog import Catalog
from run_qarnot.engine.account import AccountSummary
from run_qarnot.errors import RefusedError, RunQarnotError
from run_qarnot.files import StoredFile, Upload
from run_qarnot.settings import Settings
from run_qarnot.spec import SessionSpec
from run_qarnot.state import State
from run_qarnot.view import SessionView

GOOD_TOKEN = "good-token-0123456789"


def view(name: str = "calm-heron-42", state: State = State.WAITING, **more: object) -> SessionView:
    made = SessionView(
        id=f"id-{name}",
        name=name,
        image="base",
        app="jupyterlab",
        app_title="JupyterLab",
        state=state,
        attempt=0,
        created=datetime.now(UTC),
        inputs=f"{name}-in",
        results=f"{name}-out",
    )
    return replace(made, **more)  # type: ignore[arg-type]


@dataclass
class FakeResults:
    stored: list[StoredFile]

    async def files(self) -> list[StoredFile]:
        return self.stored

    async def address(self, key: str) -> str:
        return f"https://storage.example.org/{key}"

    def head(self, key: str) -> bytes:
        return f"content of {key}".encode()

    def zip(self, files: Sequence[StoredFile] | None = None) -> Iterator[bytes]:
        yield b"PK"


class FakeSession:
    """Goes on when the test calls `become`."""

    def __init__(self, first: SessionView, files: Sequence[StoredFile] = ()) -> None:
        self.view = first
        self.stored = list(files)
        self.asked: list[str] = []
        self.following = 0
        self.fail_next: RunQarnotError | None = None
        self._listeners: list[Callable[[SessionView], None]] = []
        self._log_listeners: list[Callable[[list[str]], None]] = []
        self._over = asyncio.Event()

    def become(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]
        if self.view.is_over:
            self._over.set()
        for listener in list(self._listeners):
            listener(self.view)

    def print(self, *lines: str) -> None:
        for listener in list(self._log_listeners):
            listener(list(lines))

    @property
    def listens(self) -> bool:
        return bool(self._log_listeners)

    def subscribe(self, listener: Callable[[SessionView], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def subscribe_log(self, listener: Callable[[list[str]], None]) -> Callable[[], None]:
        self._log_listeners.append(listener)
        return lambda: self._log_listeners.remove(listener)

    async def follow(self) -> None:
        self.following += 1
        try:
            if self.fail_next:
                error, self.fail_next = self.fail_next, None
                self.become(state=State.FAILED, reason="failed", error=error.what)
                raise error
            await self._over.wait()
        finally:
            self.following -= 1

    async def detail(self) -> SessionView:
        return self.view

    async def save(self) -> None:
        await self._do("save")
        self.become(saved=datetime.now(UTC))

    async def stop(self, *, save: bool = True) -> None:
        await self._do("stop" if save else "stop --no-save")
        self.become(state=State.ENDED, reason="stopped")

    async def add(self, uploads: Sequence[Upload], *, replace: bool = False) -> None:
        await self._do(f"add {[upload.key for upload in uploads]} {replace}")

    async def delete(self, *, files: bool = False) -> None:
        await self._do("delete --files" if files else "delete")

    @property
    def results(self) -> FakeResults:
        return FakeResults(self.stored)

    async def _do(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(0.01)
        if self.fail_next:
            error, self.fail_next = self.fail_next, None
            raise error


@dataclass
class FakeAccount:
    """Accepts one token."""

    email: str = "ada@example.org"
    found: list[FakeSession] = field(default_factory=list)
    started: list[tuple[SessionSpec, list[Upload]]] = field(default_factory=list)
    refuse_start: RunQarnotError | None = None
    closed: bool = False

    async def open(self, settings: Settings, token: str, catalog: Catalog) -> FakeAccount:
        if token != GOOD_TOKEN:
            raise RefusedError("token-refused", cluster=settings.cluster_url)
        return self

    async def summary(self) -> AccountSummary:
        return AccountSummary(self.email, len(self.found), 5, 12.5, "api.example.org")

    async def sessions(self) -> list[FakeSession]:
        return self.found

    async def start(self, spec: SessionSpec, uploads: Sequence[Upload]) -> FakeSession:
        if self.refuse_start:
            raise self.refuse_start
        self.started.append((spec, list(uploads)))
        return FakeSession(view(spec.name, State.PREPARING, id=""))

    async def close(self) -> None:
        self.closed = True
