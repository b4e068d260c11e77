"""The sessions that visitors reach through this server. Kernels register them; they are kept in memory only.

The server itself opens the tunnel to a session, so that JupyterLab stays connected when the dashboard's tab, and with
it its kernel, is closed. A tunnel is opened by the first request and closed some minutes after the last one.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib
from typing import TYPE_CHECKING

from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.model.connections import tunnel_port
from run_qarnot.page.app_cookies import AppCookies
from run_qarnot.page.kept_connections import KeptConnections
from run_qarnot.page.visits import Tickets, read_visit

if TYPE_CHECKING:
    from run_qarnot.engine.tunnel import Tunnel

IDLE_SECONDS = 300.0
_LOOPBACK = "127.0.0.1"
_RETRY_SECONDS = 1.0
_MOST_SESSIONS = 10_000


class UnreachableSessionError(Exception):
    """The session's machine cannot be reached now."""


class SessionRegistry:
    """All sessions of this server, by their id."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self.tickets = Tickets()
        self._idle_seconds = idle_seconds
        self._sessions: dict[str, RegisteredSession] = {}

    def register(self, session: ProxiedSession) -> None:
        """Add a session, or update its address.

        Raises:
            PermissionError: another key was registered with this id.
        """
        known = self._sessions.get(session.id)
        if known is not None:
            known.check_key(session.key)
            known.session, known.has_ended = session, False
            return
        while len(self._sessions) >= _MOST_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[session.id] = RegisteredSession(session, self._idle_seconds)

    async def end(self, session_id: str, key: str) -> None:
        """Close the tunnel to a session that is over.

        Raises:
            PermissionError: the key is another.
        """
        if (known := self._sessions.get(session_id)) is not None:
            known.check_key(key)
            known.has_ended = True
            await known.close()

    def give_ticket(self, session_id: str, key: str, path: str, origin: str) -> str:
        """Return a ticket for a browser (`visits.Tickets.give`).

        Raises:
            PermissionError: there is no such session, or it has another key.
            ValueError: origin or path have the wrong form.
        """
        known = self._sessions.get(session_id)
        if known is None:
            raise PermissionError("no such session")
        known.check_key(key)
        return self.tickets.give(session_id, path, origin)

    def find(self, session_id: str) -> RegisteredSession | None:
        """Return a session; None if no page has registered it since the server started."""
        return self._sessions.get(session_id)

    async def close(self) -> None:
        """Close all tunnels."""
        await asyncio.gather(*(known.close() for known in self._sessions.values()))


class RegisteredSession:
    """A session, and the tunnel to it."""

    def __init__(self, session: ProxiedSession, idle_seconds: float) -> None:
        self.session = session
        self.cookies = AppCookies()
        self.kept = KeptConnections()
        self.has_ended = False
        self._idle_seconds = idle_seconds
        self._tunnel: Tunnel | None = None
        self._opened: ProxiedSession | None = None  # the address of the last attempt to open the tunnel
        self._opening = asyncio.Lock()
        self._retry_at = 0.0
        self._uses = 0
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    def check_key(self, key: str) -> None:
        """Raise PermissionError unless this is the session's key."""
        if not hmac.compare_digest(key.encode(), self.session.key.encode()):
            raise PermissionError("the key is another")

    def origin_of_visit(self, cookie: str) -> str | None:
        """Return the origin in a visitor's cookie (`visits.read_visit`)."""
        return read_visit(self.session.key, self.session.id, cookie)

    @property
    def is_connected(self) -> bool:
        """Whether a tunnel is open."""
        return self._tunnel is not None and self._tunnel.is_open

    async def address(self) -> tuple[str, int]:
        """Return the app's address; the tunnel is opened if it is not.

        Raises:
            UnreachableSessionError: it cannot be opened.
        """
        async with self._opening:
            if self.has_ended:
                raise UnreachableSessionError
            if self._tunnel is None or self._opened != self.session or not self._tunnel.is_open:
                self._tunnel = await self._open()
            assert self._tunnel.port is not None
            return _LOOPBACK, self._tunnel.port

    async def _open(self) -> Tunnel:
        loop = asyncio.get_running_loop()
        if self._opened == self.session and loop.time() < self._retry_at:
            raise UnreachableSessionError
        self.kept.close()  # they may be connections to another machine
        if self._tunnel is not None:
            await self._tunnel.close()
        self._opened = session = self.session
        module = await in_thread(importlib.import_module, "run_qarnot.engine.tunnel")  # half a second
        try:
            made: type[Tunnel] = module.Tunnel
            tunnel = made(session.user, [session.private_key], tunnel_port(session.id))
            await tunnel.open(session.ssh, session.app_port, session.host_key_problem)
        except module.TunnelError as error:
            self._retry_at = loop.time() + _RETRY_SECONDS
            raise UnreachableSessionError(str(error)) from error
        return tunnel

    def acquire(self) -> None:
        """Count a request that begins."""
        self._uses += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def release(self) -> None:
        """Count a request, or websocket, that has ended."""
        self._uses -= 1
        if self._uses == 0:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_idle)

    async def close(self) -> None:
        """Close the tunnel. The next request opens it again, unless the session has ended."""
        async with self._opening:
            tunnel, self._tunnel = self._tunnel, None
            self.kept.close()
            if tunnel is not None:
                await tunnel.close()

    def _close_idle(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self.close())
