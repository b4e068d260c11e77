"""The two listeners of a cluster, API and storage. Both can refuse connections for a while, and accept them again."""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from qarnot_local.ports import listen

_KEEP_ALIVE_SECONDS = 3600  # the SDK raises raw errors when a kept connection is closed under it (§0.13)


class UvicornListener:
    """Uvicorn without its main loop, which wakes ten times a second."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._config = uvicorn.Config(
            app,
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
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._server.lifespan = self._config.lifespan_class(self._config)

    async def start(self) -> None:
        await self._server.startup(sockets=[self._listener])

    async def stop(self) -> None:
        await self._server.shutdown(sockets=[self._listener])

    async def close(self) -> None:
        """Stop listening, and reset the open connections."""
        await self._stop_accepting()
        for server in self._server.servers:
            server.close()
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()

    async def _stop_accepting(self) -> None:
        """Accept what is pending too: asyncio leaves open, and forgets, a connection accepted just before a close."""
        for server in self._server.servers:
            for listener in server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(5):
            await asyncio.sleep(0)

    async def open(self) -> None:
        """Listen again, on the same port."""
        listener = listen(self._port)
        kind: Any = self._config.http_protocol_class
        protocol = functools.partial(
            kind,
            config=self._config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )
        server = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=128)
        self._server.servers = [server]
        self._listener = listener


class Listening:
    """All listeners of a cluster. `close` and `open` may be called again and again."""

    def __init__(self, *listeners: UvicornListener) -> None:
        self._listeners = listeners
        self._is_open = True
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        for listener in self._listeners:
            await listener.start()

    async def stop(self) -> None:
        for listener in self._listeners:
            await listener.stop()

    async def close(self) -> None:
        """Refuse connections, and reset the open ones."""
        async with self._changing:
            if self._is_open:
                self._is_open = False
                for listener in self._listeners:
                    await listener.close()

    async def open(self) -> None:
        """Accept connections again."""
        async with self._changing:
            if not self._is_open:
                for listener in self._listeners:
                    await listener.open()
                self._is_open = True
