"""What listens: the REST side here, storage beside it. Both can be made to refuse connections, and to accept again."""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from qarnot_local.ports import listen
from qarnot_local.s3.storage import ObjectStorage

_KEEP_ALIVE_SECONDS = 3600  # the SDK raises raw errors when a kept connection is closed under it (§0.13)


class Listening:
    """Uvicorn without its main loop, which wakes ten times a second only to look at its watch."""

    def __init__(self, listener: socket.socket, storage: ObjectStorage) -> None:
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._storage = storage
        self._is_open = True
        self._changing = asyncio.Lock()

    async def start(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
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
        config.load()
        self._config = config
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._listener])

    async def stop(self) -> None:
        await self._server.shutdown(sockets=[self._listener])

    async def close(self) -> None:
        """Nobody listens; open connections are reset."""
        async with self._changing:
            if self._is_open:
                self._is_open = False
                await self._stop_accepting()
                for server in self._server.servers:
                    server.close()
                for connection in list(self._server.server_state.connections):
                    connection.transport.abort()
                await asyncio.to_thread(self._storage.refuse)

    async def _stop_accepting(self) -> None:
        """Also accept what is pending: asyncio leaves open, and forgets, a connection accepted just before a close."""
        for server in self._server.servers:
            for listener in server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(5):
            await asyncio.sleep(0)

    async def open(self) -> None:
        """Listen again, on the same ports."""
        async with self._changing:
            if not self._is_open:
                await asyncio.to_thread(self._storage.listen)
                await self._listen()
                self._is_open = True

    async def _listen(self) -> None:
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
