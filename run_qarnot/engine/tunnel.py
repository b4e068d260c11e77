"""The way to a session's app without a terminal: an SSH connection held by this process, and a port on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from http import HTTPStatus
from itertools import chain, islice

import asyncssh

from run_qarnot.engine.ports import free_ports
from run_qarnot.model.connections import LOOPBACK, Forward

_CONNECT_SECONDS = 10.0
_PROBE_SECONDS = 3.0
_KEEPALIVE_SECONDS = 15.0
_CHUNK_BYTES = 1 << 16

_Reader = asyncio.StreamReader | asyncssh.SSHReader[bytes]
_Writer = asyncio.StreamWriter | asyncssh.SSHWriter[bytes]

log = logging.getLogger(__name__)
asyncssh.set_log_level(logging.WARNING)


class TunnelError(Exception):
    """The tunnel cannot be opened; the text says why. `denied`: the key is not accepted, so trying again is idle."""

    def __init__(self, problem: str, *, denied: bool = False) -> None:
        super().__init__(problem)
        self.denied = denied


class Tunnel:
    """A port on loopback that leads to a port of the session's machine.

    `port` is taken with the first `open`, and kept until `close`: while the machine is away nobody else gets it, or
    what is open in the user's browser would lead to another session.
    """

    def __init__(self, user: str, keys: Iterable[str] | None) -> None:
        """Arguments:
        user: who logs in on the machine.
        keys: see `use_keys`.
        """
        self._user = user
        self.use_keys(keys)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._forward: Forward | None = None
        self._watch: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._app_port = 0
        self.port: int | None = None

    def use_keys(self, keys: Iterable[str] | None) -> None:
        """Log in with these keys from the next `open` on; port and connection stay as they are.

        Arguments:
            keys: private ones in OpenSSH's format; None for the user's own (agent, `~/.ssh`).

        Raises:
            TunnelError: a key cannot be read, or has a passphrase.
        """
        try:
            self._keys = None if keys is None else [asyncssh.import_private_key(key) for key in keys]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise TunnelError("the private key cannot be read, or has a passphrase", denied=True) from error

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    def leads_to(self, forward: Forward) -> bool:
        """Whether the tunnel is open, and to this forward."""
        return self.is_open and self._forward == forward

    async def open(self, forward: Forward, app_port: int) -> None:
        """Open the tunnel, or open it again.

        Host keys are not compared with anything: they change with every machine
        (`reference/qarnot-platform.md` §3.4), and the user's known hosts are left alone.

        Raises:
            TunnelError: nobody answers, or the key is not accepted.
        """
        await self.disconnect()
        try:
            self._connection = await asyncio.wait_for(self._connect(forward), _CONNECT_SECONDS)
        except asyncssh.PermissionDenied as error:
            raise TunnelError("the machine does not accept the key", denied=True) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise TunnelError(_problem(error)) from error
        self._forward, self._app_port = forward, app_port
        try:
            await self._listen()
        except OSError as error:
            await self.close()
            raise TunnelError(f"no port is free on this computer ({error})") from error

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the connection ends for whatever reason."""

        async def watch(connection: asyncssh.SSHClientConnection) -> None:
            await connection.wait_closed()
            callback()

        if self._connection is not None:
            self._watch = asyncio.get_running_loop().create_task(watch(self._connection))

    async def close(self) -> None:
        """Give up the port, too."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for visit in self._visits:
            visit.cancel()
        await self.disconnect()

    async def disconnect(self) -> None:
        """Let go of the machine; the port stays ours."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.wait_closed(), 2)

    async def _connect(self, forward: Forward) -> asyncssh.SSHClientConnection:
        own_keys = {} if self._keys is None else {"client_keys": self._keys, "agent_path": None}
        return await asyncssh.connect(
            forward.host,
            forward.port,
            username=self._user,
            known_hosts=None,
            config=None,
            preferred_auth="publickey",
            keepalive_interval=_KEEPALIVE_SECONDS,
            **own_keys,
        )

    async def _listen(self) -> None:
        """Listen on the port of before, else on the first free one."""
        if self._server is not None:
            return
        problem = OSError("none was tried")
        for port in chain([self.port] if self.port else [], islice(free_ports(), 50)):
            try:
                self._server = await asyncio.start_server(self._welcome, LOOPBACK, port)
            except OSError as error:
                problem = error
            else:
                self.port = port
                return
        raise problem

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.get_running_loop().create_task(self._lead(reader, writer))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead somebody who came to our port to the app; while there is no machine, he is sent away."""
        with contextlib.suppress(OSError, asyncssh.Error), contextlib.closing(writer):
            if self._connection is not None:
                from_app, to_app = await self._connection.open_connection("localhost", self._app_port)
                with contextlib.closing(to_app):
                    await asyncio.gather(_copy(reader, to_app), _copy(from_app, writer))


async def _copy(reader: _Reader, writer: _Writer) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def answers(port: int, path: str) -> bool:
    """Whether `GET path` behind a port of this computer gives 200."""
    return await asyncio.to_thread(_answers, f"http://{LOOPBACK}:{port}{path}")


async def speaks_ssh(host: str, port: int) -> bool:
    """Whether an SSH server greets us there."""
    writer = None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            return (await reader.readline()).startswith(b"SSH-")
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        if writer is not None:
            writer.close()


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind a proxy
    try:
        with opener.open(url, timeout=_PROBE_SECONDS) as response:
            return bool(response.status == HTTPStatus.OK)
    except (OSError, urllib.error.URLError, ValueError):
        return False
    except Exception as error:  # noqa: BLE001  http.client raises its own for half an answer
        log.debug("probe of %s: %r", url, error)
        return False


def _problem(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "no answer in time; the network may block SSH"
        case ConnectionRefusedError():
            return "nobody listens there yet"
        case OSError():
            return error.strerror or "the network does not lead there"
    return "the connection broke"
