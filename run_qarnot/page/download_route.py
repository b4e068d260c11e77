"""The server's half of a download: streams from the socket of the ticket in the address to the browser."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import tornado.web
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError

from run_qarnot.page.downloads import FOLDER_VARIABLE, LENGTH_BYTES, MEDIA_TYPES, ROUTE, socket_path

_SHORT_PARENT, _LONGEST_PARENT = "/tmp", 50  # noqa: S108  paths of sockets end at about 100 characters
_LONGEST_FRAME = 16 * 1024 * 1024
_GONE = "This download is not there any more: an address works once, and for a minute. Press the button again.\n"


def make_folder() -> Path:
    """Create the private folder for downloads and pass it to the kernels by the environment. The caller removes it."""
    too_long = len(tempfile.gettempdir()) > _LONGEST_PARENT and Path(_SHORT_PARENT).is_dir()
    folder = Path(tempfile.mkdtemp(prefix="run-qarnot-", dir=_SHORT_PARENT if too_long else None))  # 0700 by `mkdtemp`
    os.environ[FOLDER_VARIABLE] = str(folder)
    return folder


def route(base_url: str, folder: Path) -> tuple[str, Any, dict[str, Any]]:
    """Return the entry for Tornado's list of handlers."""
    endings = "|".join(MEDIA_TYPES)
    pattern = url_path_join(base_url, ROUTE, rf"([A-Za-z0-9_-]{{20,100}})/([^/]{{1,200}}\.(?:{endings}))")
    return pattern, DownloadHandler, {"folder": folder}


class DownloadHandler(JupyterHandler):  # type: ignore[misc,unused-ignore]
    """Streams a file. The ticket is random and valid once; with a login token the visitor must also be logged in."""

    def initialize(self, folder: Path) -> None:
        self._folder = folder

    @tornado.web.authenticated
    async def get(self, ticket: str, name: str) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(socket_path(self._folder, ticket))
        except OSError:
            self._refuse()
            return
        try:
            await self._pass_on(reader, name)
        except StreamClosedError:
            return  # the browser closed the connection; closing the socket tells the kernel
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, name: str) -> None:
        try:
            frame = await _read_frame(reader)
        except asyncio.IncompleteReadError:
            self.set_status(502)
            await self._say("The file could not be made. The page says why.\n")
            return
        self._set_headers(name)
        while frame:
            self.write(frame)
            await self.flush()
            try:
                frame = await _read_frame(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                self._break_off()
                return
        await self.finish()

    def _break_off(self) -> None:
        """Close the connection without the last chunk, so that the browser reports a failed download."""
        connection: Any = self.request.connection
        connection.stream.close()

    def _set_headers(self, name: str) -> None:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
        self.set_header("Content-Type", MEDIA_TYPES[name.rpartition(".")[2]])
        self.set_header(
            "Content-Disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
        )
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Accel-Buffering", "no")  # otherwise nginx would buffer all of it

    def _refuse(self) -> None:
        self.set_status(404)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(_GONE)

    async def _say(self, sentence: str) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        await self.finish(sentence)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(LENGTH_BYTES))
    if length > _LONGEST_FRAME:
        raise ConnectionError("this is not one of our frames")
    return await reader.readexactly(length)
