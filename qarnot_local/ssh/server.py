"""The SSH side of a running task (`reference/qarnot-platform.md` §3.4): one listener, its own host key, keys only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncssh

from qarnot_local.runtime.task_ports import HERE, Address, TaskPorts
from qarnot_local.ssh.sftp import JobFiles
from qarnot_local.ssh.shells import Shells

_LOCALHOST = {"localhost", "127.0.0.1", "::1"}
MAX_AUTH_TRIES = 6  # as in OpenSSH's server: clients that offer more keys are disconnected


def read_keys(text: str) -> tuple[list[str], list[str]]:
    """DOCKER_SSH's lines: those that are public keys, and those that are not."""
    good: list[str] = []
    bad: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            asyncssh.import_authorized_keys(line)
        except (ValueError, asyncssh.KeyImportError):
            bad.append(line)
        else:
            good.append(line)
    return good, bad


class Gate:
    """The listener of one task."""

    def __init__(self, shells: Shells, own: TaskPorts, is_silent: Callable[[], bool] = lambda: False) -> None:
        """While `is_silent`, none of the ports answers."""
        self._shells = shells
        self._own = own
        self._is_silent = is_silent
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def open(self, keys: list[str]) -> int:
        """Listen for holders of these keys, whatever user name they give; returns the port."""
        self._acceptor = await asyncssh.create_server(
            lambda: _Server(self._destination, self._connections, self._is_silent),
            HERE,
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=asyncssh.import_authorized_keys("\n".join(keys)) if keys else None,
            password_auth=False,
            kbdint_auth=False,
            host_based_auth=False,
            gss_host=None,
            process_factory=self._shells.serve,
            sftp_factory=lambda channel: JobFiles(channel, self._shells.folder),
            encoding=None,
            line_editor=False,
            x11_forwarding=False,
            agent_forwarding=False,
            keepalive_interval=30,
        )
        return self._acceptor.get_port()

    async def close(self) -> None:
        """Close the listener and every connection; end what they started."""
        if self._acceptor:
            self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        if self._acceptor:
            await self._acceptor.wait_closed()  # from Python 3.12 on, this waits for the connections too
        await self._shells.end()

    async def _destination(self, host: str, port: int) -> Address:
        """The real local address behind `host:port` as the client says it. Raises when it is not this task's own."""
        if host in _LOCALHOST and (address := await self._own.find(port)):
            return address
        raise asyncssh.ChannelOpenError(
            asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, f"{host}:{port} is not a port of this task"
        )


class _Server(asyncssh.SSHServer):
    def __init__(
        self,
        destination: Callable[[str, int], Awaitable[Address]],
        connections: set[asyncssh.SSHServerConnection],
        is_silent: Callable[[], bool],
    ) -> None:
        self._destination = destination
        self._is_silent = is_silent
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None
        self._refused = 0

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Asked about each key that is not among the authorized ones. asyncssh has no limit of its own."""
        self._refused += 1
        if self._refused >= MAX_AUTH_TRIES and self._connection:
            self._connection.disconnect(asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures")
        return False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._connections.discard(self._connection)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]]:
        return self._forward(dest_host, dest_port)

    async def _forward(self, host: str, port: int) -> asyncssh.SSHTCPSession[bytes]:
        assert self._connection
        address = await self._destination(host, port)
        if self._is_silent():
            return asyncssh.SSHTCPSession()
        try:
            _, server = await asyncio.get_running_loop().create_connection(asyncssh.SSHForwarder, *address)
        except OSError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(error)) from None
        # A forwarder is what asyncssh wants here, though it is not called a session.
        return _Visitor(server)  # type: ignore[return-value]


class _Visitor(asyncssh.SSHForwarder):
    """The client's end of a forwarded connection.

    When both ends have sent EOF, asyncssh waits for the client to close the channel. OpenSSH's client (`-W`) waits for
    the server to do so, as OpenSSH's server does.
    """

    def eof_received(self) -> bool:
        """Close the channel after the pending data when both ends have sent EOF."""
        goes_on = super().eof_received()
        if not goes_on:
            self.close()
        return goes_on
