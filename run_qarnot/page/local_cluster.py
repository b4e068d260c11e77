"""“Try it here”: a local cluster that the page's server runs, for visitors without an account.

The server listens on a Unix socket in its private folder, where a kernel requests the cluster's addresses and token.
The cluster outlives the kernel, so that a reload of the page finds its sessions, and ends with the server. Only servers
of a single person offer it, because its sessions run on the server's machine as the server's user.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from run_qarnot.model.settings import Settings, read_settings
from run_qarnot.page.child import ChildServer

PACKAGES = ("fastapi", "uvicorn", "moto", "jupyterlab")  # of the extra "local"
_SOCKET = "cluster.sock"
_START_SECONDS = 90.0
_EXPORT = re.compile(r"export (QARNOT_\w+)='([^']*)'")
_EXPORTS = 3  # the addresses of API and storage, and the token
_NOT_FOR_CLUSTER = re.compile(r"(RUN_)?QARNOT_")


def is_installed() -> bool:
    """Whether the packages of the local cluster are installed."""
    return all(importlib.util.find_spec(package) is not None for package in PACKAGES)


@contextlib.asynccontextmanager
async def offered(folder: Path) -> AsyncIterator[None]:
    """Offer it to this server's kernels during the block; the first request starts it.

    Arguments:
        folder: the server's private one (`download_route.make_folder`).
    """
    cluster = _Cluster()
    server = await asyncio.start_unix_server(cluster.answer, folder / _SOCKET)
    try:
        yield
    finally:
        server.close()
        cluster.end()


def is_offered(folder: Path | None) -> TypeGuard[Path]:
    """Whether this kernel's server offers it."""
    return folder is not None and (folder / _SOCKET).is_socket()


async def find(folder: Path | None, settings: Settings, *, start: bool) -> tuple[Settings, str] | None:
    """Return settings and token of the cluster; None if it does not run.

    Arguments:
        folder: the server's private one.
        settings: those of the page; catalog and plugins stay the same.
        start: start it, if it does not run.
    """
    exports: dict[str, str] = {}
    if is_offered(folder):
        with contextlib.suppress(OSError, ValueError):  # the server is ending
            exports = await _ask(folder, b"start\n" if start else b"find\n")
    if not exports:
        return None
    found = read_settings(exports, Path())
    return replace(settings, cluster_url=found.cluster_url, storage_url=found.storage_url), found.token or ""


async def _ask(folder: Path, question: bytes) -> dict[str, str]:
    reader, writer = await asyncio.open_unix_connection(folder / _SOCKET)
    try:
        writer.write(question)
        return dict(json.loads(await reader.readline()))
    finally:
        writer.close()


class _Cluster:
    """The server's side: starts the cluster and keeps the variables that it printed."""

    def __init__(self) -> None:
        self._starting = asyncio.Lock()
        self._child: ChildServer | None = None
        self._exports: dict[str, str] = {}
        self._watching: asyncio.Task[None] | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a kernel with the cluster's variables; with none if it does not run."""
        with contextlib.suppress(OSError):
            if (await reader.readline()).strip() == b"start":
                async with self._starting:
                    await self._start()
            writer.write(json.dumps(self._exports).encode() + b"\n")
            await writer.drain()
        writer.close()

    def end(self) -> None:
        if self._child is not None:
            self._child.end()

    async def _start(self) -> None:
        if self._exports:
            return
        environment = {name: value for name, value in os.environ.items() if not _NOT_FOR_CLUSTER.match(name)}
        child = self._child = await ChildServer.start("qarnot_local", environment=environment)
        exports: dict[str, str] = {}
        try:
            async with asyncio.timeout(_START_SECONDS):
                while len(exports) < _EXPORTS and (line := await child.read_line()):
                    exports.update(_EXPORT.findall(line))
        except TimeoutError:
            child.end()
        if len(exports) == _EXPORTS:
            self._exports = exports
        self._watching = asyncio.create_task(self._watch(child))

    async def _watch(self, child: ChildServer) -> None:
        await child.wait()
        if child is self._child:
            self._exports, self._child = {}, None
