"""The kernels' connection to the session registry of the server: a Unix socket in the server's private folder.

Secrets are sent only this way, never in files, arguments or the environment. A request and its answer are a line of
JSON each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from run_qarnot.core.messages import Message, english
from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.page.session_registry import SessionRegistry

_NAME = "sessions.sock"
_LONGEST_LINE = 64 * 1024
_SECONDS = 10.0


class RegistryError(Exception):
    """The server does not answer, or refuses; `problem` says which."""

    def __init__(self, problem: Message) -> None:
        super().__init__(english(problem))
        self.problem = problem


def is_available(folder: Path | None) -> bool:
    """Whether there is a registry: our server has one if the system has Unix sockets."""
    return folder is not None and (folder / _NAME).exists()


@contextlib.asynccontextmanager
async def listening(registry: SessionRegistry, folder: Path) -> AsyncIterator[None]:
    """Accept registrations during the block.

    Arguments:
        registry: stores them.
        folder: the server's private one.
    """
    if not hasattr(asyncio, "start_unix_server"):
        yield
        return

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                answer = await _answer(registry, await reader.readline())
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()

    path = folder / _NAME
    server = await asyncio.start_unix_server(welcome, path, limit=_LONGEST_LINE)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def register(folder: Path, session: ProxiedSession) -> None:
    """Register a session with the server. Raises RegistryError."""
    await _ask(folder, {"do": "register", "session": session.as_message()})


async def end(folder: Path, session_id: str, key: str) -> None:
    """Remove an ended session from the server. Raises RegistryError."""
    await _ask(folder, {"do": "end", "id": session_id, "key": key})


async def get_ticket(folder: Path, session: ProxiedSession, path: str, origin: str) -> str:
    """Register a session, and return a ticket with which a browser may open it.

    Arguments:
        folder: the server's.
        session: with its current address.
        path: of the app's page, without a slash in front.
        origin: of the page that the visitor sees.

    Raises:
        RegistryError: the server does not answer, or refuses.
    """
    await register(folder, session)
    question = {"do": "ticket", "id": session.id, "key": session.key, "path": path, "origin": origin}
    return str((await _ask(folder, question))["ticket"])


async def _answer(registry: SessionRegistry, line: bytes) -> dict[str, Any]:
    try:
        match json.loads(line):
            case {"do": "register", "session": dict(session)}:
                registry.register(ProxiedSession.from_message(session))
            case {"do": "end", "id": str(session_id), "key": str(key)}:
                await registry.end(session_id, key)
            case {"do": "ticket", "id": str(session_id), "key": str(key), "path": str(path), "origin": str(origin)}:
                return {"ticket": registry.give_ticket(session_id, key, path, origin)}
            case _:
                return {"error": "unknown"}
    except (PermissionError, ValueError):
        return {"error": "refused"}
    return {}


async def _ask(folder: Path, question: dict[str, Any]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(folder / _NAME, limit=_LONGEST_LINE)
            with contextlib.closing(writer):
                writer.write(json.dumps(question).encode() + b"\n")
                answer: dict[str, Any] = json.loads(await reader.readline())
    except (OSError, TimeoutError, ValueError, AttributeError) as error:
        raise RegistryError(Message("page-server-silent")) from error
    if "error" in answer:
        raise RegistryError(Message("page-server-refuses"))
    return answer
