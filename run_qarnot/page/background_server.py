"""The page's server as a child of another server, which starts it on demand."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from run_qarnot.page.child import ChildServer

_SHORT_PARENT, _LONGEST_PARENT = "/tmp", 50  # noqa: S108  paths of sockets end at about 100 characters
_START_SECONDS = 60.0
# Credentials of the other server, and the visitor's address: neither the page nor its kernels need them.
_NOT_FOR_CHILDREN = re.compile(r"(JUPYTER|JPY_|CONFIGPROXY_).*(TOKEN|SECRET|KEY)|BINDER_CLIENT_IP")


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the page's server: that of the other server without its secrets."""
    return {name: value for name, value in environment.items() if not _NOT_FOR_CHILDREN.match(name)}


class BackgroundServer:
    """Runs `run_qarnot.page.server` on a Unix socket. Belongs to one event loop.

    Only this user can open the socket's folder, and the other server has authenticated the visitors; therefore the
    page's server asks for no login.
    """

    def __init__(self, base_url: str) -> None:
        """Start nothing yet.

        Arguments:
            base_url: the path under which visitors see the page; begins and ends with a slash.
        """
        self.base_url = base_url
        self._folder: Path | None = None
        self._watching: asyncio.Task[None] | None = None
        self.is_ready = False  # it accepts connections
        self.failure: str | None = (
            None  # why the last start failed, as the program printed it; empty if it printed nothing
        )

    @property
    def socket(self) -> Path:
        """The socket's path; valid once the server was started."""
        if self._folder is None:
            self._folder = _make_folder()
        return self._folder / "page.sock"

    def start(self) -> None:
        """Start it, unless it runs or is starting."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Start the program and wait for its end."""
        was_ready, said = False, ""
        try:
            child = await self._start_child()
            try:
                async with asyncio.timeout(_START_SECONDS):
                    self.is_ready = was_ready = bool(
                        await child.read_line()
                    )  # it prints its address once it accepts connections
            except TimeoutError:
                child.end()
            said = await child.wait()
        except OSError as error:
            said = str(error)
        finally:
            self.is_ready, self._watching = False, None
            self.failure = None if was_ready else said

    async def _start_child(self) -> ChildServer:
        self.socket.unlink(missing_ok=True)
        options = ["--no-browser", "--no-login", "--unix-socket", str(self.socket), "--base-url", self.base_url]
        return await ChildServer.start("run_qarnot.page.server", *options, environment=child_environment(os.environ))


def _make_folder() -> Path:
    too_long = len(tempfile.gettempdir()) > _LONGEST_PARENT and Path(_SHORT_PARENT).is_dir()
    folder = Path(tempfile.mkdtemp(prefix="run-qarnot-", dir=_SHORT_PARENT if too_long else None))  # 0700 by `mkdtemp`
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
