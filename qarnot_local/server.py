"""The cluster as a context manager: it starts everything on entry and leaves nothing behind on exit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from qarnot_local import private
from qarnot_local.access import Access
from qarnot_local.api.app import make_app
from qarnot_local.api.context import Context
from qarnot_local.control.control import Control
from qarnot_local.control.faults import ControlError, Faults
from qarnot_local.listening import Listening, UvicornListener
from qarnot_local.lock import StateLock
from qarnot_local.ports import Ports
from qarnot_local.runtime.clock import Clock, use
from qarnot_local.runtime.manager import Manager
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.runtime.secrets_store import Secrets
from qarnot_local.s3.storage import ObjectStorage

__all__ = ["ClusterError", "ControlError", "LocalCluster"]
EMAIL = "you@localhost"
_PREFIX = "local-cluster-"


class ClusterError(Exception):
    """The cluster cannot start. Two lines: why, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}\n{todo}")


class LocalCluster:
    """A Qarnot cluster on 127.0.0.1, in threads of this process.

    `port` 0 takes any free one. With `state_dir`, tasks, jobs and objects survive, and so do the ports and a `token`
    that were not given; without, everything lives in a private temporary folder. Inside the `with` block, it accepts
    calls.
    """

    def __init__(self, port: int = 0, state_dir: Path | None = None, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self._keeps_token = not token
        self.email = EMAIL
        self.control: Control  # inside the `with` block; see qarnot_local/control/control.py
        self.cluster_url = ""
        self.storage_url = ""
        self.notes: list[str] = []  # for the user who starts it, such as a port that changed
        self._port = port
        self._state_dir = state_dir

    def __repr__(self) -> str:
        return f"LocalCluster({self.cluster_url!r})"  # never the token

    def __enter__(self) -> LocalCluster:
        with contextlib.ExitStack() as stack:
            if self._state_dir:
                stack.enter_context(self._locked(self._state_dir))
            ports = Ports(self._state_dir)
            listener = stack.enter_context(self._listen(ports, "API", self._port))
            self.cluster_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            storage_listener = stack.enter_context(self._listen(ports, "storage"))
            self.notes = [_moved(*each) for each in ports.lost]
            _sweep()
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))  # mkdtemp makes it private
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            access, faults, quotas = Access(self.email, self.token), Faults(), Quotas()
            kept = self._state_dir / "objects" if self._state_dir else None
            storage = ObjectStorage(access, faults, quotas, folder, kept)
            storage.start()
            stack.callback(storage.stop)
            self.storage_url = f"http://127.0.0.1:{storage_listener.getsockname()[1]}"
            urls = (self.cluster_url, self.storage_url)
            parts = _Parts(access, faults, quotas, storage, folder, self._state_dir, *urls)
            service = _Service(parts, listener, storage_listener)
            self.control = service.start()
            stack.callback(service.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _locked(self, folder: Path) -> StateLock:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = StateLock(folder / "lock")
            if self._keeps_token:
                self.token = private.token(folder / "token")
        except BlockingIOError:
            raise ClusterError(
                f"Another local cluster uses {folder}.", "Stop it, or choose another --state-dir."
            ) from None
        except OSError as error:
            raise ClusterError(f"{folder} cannot be used: {error.strerror}.", "Choose another --state-dir.") from error
        return lock

    def _listen(self, ports: Ports, name: str, port: int = 0) -> socket.socket:
        try:
            return ports.listen(name, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ClusterError(
                f"Port {port} cannot be used: {reason}.", "Choose another with --port, or leave it out."
            ) from error


def _moved(name: str, before: int, port: int) -> str:
    return (
        f"Port {before} is in use by another program: the {name} listens at {port} now.\n"
        "Give programs that kept the old address the new one."
    )


def _sweep() -> None:
    """Remove the folders of clusters that were killed before they could do so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            is_ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
            if is_ours and owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Parts:
    """What a cluster is made of, apart from what lives on its event loop."""

    access: Access
    faults: Faults
    quotas: Quotas
    storage: ObjectStorage
    folder: Path
    state_dir: Path | None
    cluster_url: str
    storage_url: str

    def manager(self) -> Manager:
        names = ("QARNOT_CLUSTER_URL", "QARNOT_COMPUTE_API_URL")
        credentials = dict.fromkeys(names, self.cluster_url) | {"QARNOT_CLIENT_TOKEN": self.access.token}
        credentials |= dict.fromkeys(("QARNOT_STORAGE_URL", "QARNOT_STORAGE_API_URL"), self.storage_url)
        return Manager(self.storage, self.folder, self.state_dir, credentials, self.quotas)

    def world(self, manager: Manager, control: Control) -> Context:
        secrets = Secrets(self.state_dir / "secrets.json" if self.state_dir else None)
        own = self.access
        return Context(manager, secrets, self.faults, control, own.token, own.email, self.storage_url)


class _Service:
    """The event loop, on a thread of its own, with everything that runs on it: REST, storage, tasks, SSH."""

    def __init__(self, parts: _Parts, listener: socket.socket, storage_listener: socket.socket) -> None:
        self._parts = parts
        self._listener = listener
        self._storage_listener = storage_listener
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="cluster", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._control: Control | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> Control:
        self._thread.start()
        self._ready.wait()
        if self._error or not self._control:
            self._thread.join()
            raise self._error or ClusterError(
                "The cluster did not start.", "This is a fault of Run Qarnot; please report it."
            )
        return self._control

    def stop(self) -> None:
        self._parts.faults.stopping.set()
        if self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self) -> None:
        parts = self._parts
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            clock = Clock()
            use(clock)
            manager = parts.manager()
            manager.resume()
            storage = UvicornListener(parts.storage.app, self._storage_listener)
            control = Control(manager, parts.faults, clock, parts.access)
            api = UvicornListener(make_app(parts.world(manager, control), parts.access, clock), self._listener)
            control.listeners = listening = Listening(api, storage)
            await listening.start()
            self._control = control
        except BaseException as error:  # handed to the thread that waits for us  # noqa: BLE001
            self._error = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await manager.stop()
        await listening.stop()
