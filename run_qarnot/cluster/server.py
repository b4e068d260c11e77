"""The cluster as a context manager: everything started on the way in, nothing left on the way out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil
import uvicorn

from run_qarnot.cluster.api.app import make_app
from run_qarnot.cluster.api.world import World
from run_qarnot.cluster.lock import StateLock
from run_qarnot.cluster.manager import Manager
from run_qarnot.cluster.storage import Storage

EMAIL = "you@localhost"
_PREFIX = "local-cluster-"
_KEEP_ALIVE_SECONDS = 3600  # the SDK raises raw errors when a kept connection is closed under it (§0.13)


class ClusterError(Exception):
    """The cluster cannot start; the message says why and what to do."""


class LocalCluster:
    """A Qarnot cluster on 127.0.0.1, in threads of this process.

    `port` 0 takes any free one. With `state_dir`, tasks, jobs and objects survive; without, everything lives in a
    private temporary folder. Inside the `with` block, it accepts calls.
    """

    def __init__(self, port: int = 0, state_dir: Path | None = None, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(32)
        self.email = EMAIL
        self.cluster_url = ""
        self.storage_url = ""
        self._port = port
        self._state_dir = state_dir

    def __repr__(self) -> str:
        return f"LocalCluster({self.cluster_url!r})"  # never the token

    def __enter__(self) -> LocalCluster:
        with contextlib.ExitStack() as stack:
            if self._state_dir:
                stack.enter_context(self._locked(self._state_dir))
            listener = stack.enter_context(self._listen())
            _sweep()
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))  # mkdtemp makes it private
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            objects = self._state_dir / "objects" if self._state_dir else None
            storage = Storage(self.email, self.token, objects)
            storage.start()
            stack.callback(storage.stop)
            self.storage_url = storage.url
            service = _Service(lambda: Manager(storage, folder, self._state_dir), self._world, listener)
            service.start()
            stack.callback(service.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _world(self, manager: Manager) -> World:
        return World(manager, self.token, self.email, self.storage_url)

    def _locked(self, folder: Path) -> StateLock:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return StateLock(folder / "lock")
        except BlockingIOError:
            raise ClusterError(
                f"Another local cluster uses {folder}. Stop it, or choose another --state-dir."
            ) from None
        except OSError as error:
            raise ClusterError(f"{folder} cannot be used: {error.strerror}. Choose another --state-dir.") from error

    def _listen(self) -> socket.socket:
        listener = socket.socket()
        # A port in TIME_WAIT may be taken again at once; one that somebody listens on may not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self._port))
            listener.listen(128)
        except (OSError, OverflowError) as error:
            listener.close()
            reason = getattr(error, "strerror", None) or error
            raise ClusterError(
                f"Port {self._port} cannot be used ({reason}). Choose another with --port, or leave it out."
            ) from error
        self.cluster_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return listener


def _sweep() -> None:
    """Remove the folders of clusters that were killed before they could do so themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(OSError):
            is_ours = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
            if is_ours and owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)


class _Service:
    """The event loop, on a thread of its own, with everything that runs on it: REST, tasks, SSH."""

    def __init__(
        self, make_manager: Callable[[], Manager], make_world: Callable[[Manager], World], listener: socket.socket
    ) -> None:
        self._make_manager = make_manager
        self._make_world = make_world
        self._listener = listener
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="cluster", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        if self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self) -> None:
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            manager = self._make_manager()
            manager.resume()
            server = self._server(self._make_world(manager))
            await server.startup(sockets=[self._listener])
        except BaseException as error:  # handed to the thread that waits for us  # noqa: BLE001
            self._error = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await manager.stop()
        await server.shutdown(sockets=[self._listener])

    def _server(self, world: World) -> uvicorn.Server:
        """Uvicorn without its main loop, which wakes ten times a second only to look at its watch."""
        config = uvicorn.Config(
            make_app(world),
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            ws="none",
            date_header=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=2,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        return server
