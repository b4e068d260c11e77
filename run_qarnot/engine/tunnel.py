"""The SSH tunnel to a session's app: a connection of this process, and a local port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import chain, islice

import asyncssh

from run_qarnot.core.errors import reason_of
from run_qarnot.core.messages import Message, Sentence, Verbatim, english
from run_qarnot.engine.ports import free_ports
from run_qarnot.model.connections import LOOPBACK, Forward

_CONNECT_SECONDS = 10.0
_PROBE_SECONDS = 3.0
_KEEPALIVE_SECONDS = 15.0
_FILE_SECONDS = 5.0
_MOST_BYTES = 4096
_CHUNK_BYTES = 1 << 16
_LONGEST_LINE = 1024  # bytes of the first line of an answer
# An app that redirects, such as to a login page, is up.
_UP = re.compile(rb"HTTP/1\.[01] (200|30[12378])\b")
_PLAIN_KEYS = "-*-cert-v0?@openssh.com"  # no host certificates, because no authority is known

# OpenSSH's server reports this only by the sentence: the code is that of any protocol error.
_TOO_MANY = "too many authentication failures"

HostKeyCheck = Callable[[asyncssh.SSHKey], Message | None]
_Reader = asyncio.StreamReader | asyncssh.SSHReader[bytes]
_Writer = asyncio.StreamWriter | asyncssh.SSHWriter[bytes]

log = logging.getLogger(__name__)
asyncssh.set_log_level(logging.WARNING)


class TunnelError(Exception):
    """The tunnel cannot be opened; `problem` says why.

    `denied`: the machine does not accept our keys, so that a retry is useless.
    """

    def __init__(self, problem: Sentence, *, denied: bool = False) -> None:
        super().__init__(english(problem))
        self.problem = problem
        self.denied = denied


class Tunnel:
    """A local port that is forwarded to a port of the session's machine.

    `port` is bound at the first `open` and kept until `close`, also without a machine: otherwise another session could
    bind it, and open tabs of the browser would show that session.
    """

    def __init__(self, user: str, keys: Iterable[str] | None, first_port: int) -> None:
        """Arguments:
        user: the user name on the machine.
        keys: see `use_keys`.
        first_port: the preferred local port; if it is not free, the next free one is used.
        """
        self._user = user
        self._first_port = first_port
        self.use_keys(keys)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._forward: Forward | None = None
        self._watch: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._app_port = 0
        self.port: int | None = None

    def use_keys(self, keys: Iterable[str] | None) -> None:
        """Use these keys from the next `open` on; the current connection is not affected.

        Arguments:
            keys: private keys in OpenSSH's format; None for the user's own (agent, `~/.ssh`).

        Raises:
            TunnelError: a key cannot be read, or has a passphrase.
        """
        try:
            self._keys = None if keys is None else [asyncssh.import_private_key(key) for key in keys]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise TunnelError(Message("private-key-unreadable"), denied=True) from error

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    def leads_to(self, forward: Forward) -> bool:
        """Whether the tunnel is open to this forward."""
        return self.is_open and self._forward == forward

    async def open(self, forward: Forward, app_port: int, problem: HostKeyCheck) -> None:
        """Open the tunnel, or reopen it. The user's file of known hosts is not used (`host_keys`).

        Arguments:
            forward: of the machine's SSH port.
            app_port: of the machine's loopback, where the tunnel ends.
            problem: returns what is wrong with a host key; None if nothing is. A machine with a wrong one is offered
                no key of ours and receives no traffic.

        Raises:
            TunnelError: there is no answer, the host key is wrong, or our key is refused.
        """
        await self.disconnect()
        client = _Client(problem)
        try:
            self._connection = await asyncio.wait_for(self._connect(forward, client), _CONNECT_SECONDS)
        except asyncssh.HostKeyNotVerifiable as error:
            raise TunnelError(client.problem or Message("host-key-none")) from error
        except asyncssh.PermissionDenied as error:
            raise TunnelError(Message("key-not-accepted"), denied=True) from error
        except asyncssh.DisconnectError as error:
            if _TOO_MANY in error.reason.lower():
                raise TunnelError(Message("too-many-keys"), denied=True) from error
            raise TunnelError(_problem(error)) from error
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise TunnelError(_problem(error)) from error
        self._forward, self._app_port = forward, app_port
        try:
            await self._listen()
        except OSError as error:
            await self.close()
            raise TunnelError(Message("no-free-port", problem=reason_of(error))) from error

    @property
    def host_key(self) -> asyncssh.SSHKey | None:
        """The machine's host key while the tunnel is open."""
        return None if self._connection is None else self._connection.get_server_host_key()

    def when_lost(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the connection ends for any reason."""

        async def watch(connection: asyncssh.SSHClientConnection) -> None:
            await connection.wait_closed()
            callback()

        if self._connection is not None:
            self._watch = asyncio.get_running_loop().create_task(watch(self._connection))

    async def close(self) -> None:
        """Disconnect and release the local port."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for visit in self._visits:
            visit.cancel()
        await self.disconnect()

    async def disconnect(self) -> None:
        """Disconnect from the machine but keep the local port."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.wait_closed(), 2)

    async def read(self, path: str) -> bytes:
        """Return the beginning of a file of the machine, by SFTP; empty if it cannot be read.

        Arguments:
            path: an absolute one.
        """
        with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
            async with self._files() as files, files.open(path, "rb") as file:
                data = await file.read(_MOST_BYTES)
                return data if isinstance(data, bytes) else b""
        return b""

    async def touch(self, path: str) -> None:
        """Write an empty file on the machine, by SFTP.

        Raises:
            TunnelError: the tunnel is closed, or the machine refuses.
        """
        try:
            async with self._files() as files, files.open(path, "wb"):
                pass
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise TunnelError(_problem(error)) from error

    @contextlib.asynccontextmanager
    async def _files(self) -> AsyncIterator[asyncssh.SFTPClient]:
        if self._connection is None:
            raise ConnectionResetError
        async with asyncio.timeout(_FILE_SECONDS), self._connection.start_sftp_client() as files:
            yield files

    async def _connect(self, forward: Forward, client: _Client) -> asyncssh.SSHClientConnection:
        own_keys = {} if self._keys is None else {"client_keys": self._keys, "agent_path": None}
        return await asyncssh.connect(
            forward.host,
            forward.port,
            username=self._user,
            client_factory=lambda: client,
            known_hosts=([], [], []),  # none, so that asyncssh calls `client`
            server_host_key_algs=_PLAIN_KEYS,
            config=None,
            preferred_auth="publickey",
            keepalive_interval=_KEEPALIVE_SECONDS,
            **own_keys,
        )

    async def _listen(self) -> None:
        """Bind the previously used port if possible, otherwise the first free one."""
        if self._server is not None:
            return
        problem = OSError("none was tried")
        for port in chain([self.port] if self.port else [], islice(free_ports(self._first_port), 50)):
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
        """Accept a local connection and forward it to the app. Closes it if no machine is connected."""
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
    """Whether an app answers `GET path` at a local port. Redirects are not followed.

    Only the first line is read, with limits on time and size, whatever the app sends.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    return _UP.match(await _first_line(LOOPBACK, port, request.encode())) is not None


async def speaks_ssh(host: str, port: int) -> bool:
    """Whether an SSH server sends its greeting there."""
    return (await _first_line(host, port)).startswith(b"SSH-")


async def _first_line(host: str, port: int, request: bytes = b"") -> bytes:
    """Return the first line; empty if it does not arrive in time or is too long."""
    writer = None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST_LINE)
            writer.write(request)
            return await reader.readline()
    except (OSError, TimeoutError, ValueError):
        return b""
    finally:
        if writer is not None:
            writer.transport.abort()


class _Client(asyncssh.SSHClient):
    """Checks the host key before anything is sent to the machine."""

    def __init__(self, problem: HostKeyCheck) -> None:
        self._problem = problem
        self.problem: Message | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.problem = self._problem(key)
        return self.problem is None


def _problem(error: Exception) -> Sentence:
    match error:
        case TimeoutError():
            return Message("ssh-timeout")
        case ConnectionRefusedError():
            return Message("ssh-refused")
        case OSError():
            return Verbatim(error.strerror) if error.strerror else Message("ssh-no-route")
    return Message("connection-broke")
