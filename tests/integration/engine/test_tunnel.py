"""The tunnel, against real SSH servers that are not what they should be."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ports import free_port

from run_qarnot.core.messages import Message
from run_qarnot.engine.host_keys import HostKeys
from run_qarnot.engine.tunnel import Tunnel, TunnelError, answers, speaks_ssh
from run_qarnot.model.connections import Forward

OURS = asyncssh.generate_private_key("ssh-ed25519")
FIRST, SECOND = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))


class Machine(asyncssh.SSHServer):
    """Counts what visitors show and send."""

    logins = 0

    def begin_auth(self, username: str) -> bool:
        type(self).logins += 1
        return True

    def connection_requested(self, *_: Any) -> bool:
        return True


@contextlib.asynccontextmanager
async def machine(*host_keys: Any, port: int = 0, **options: Any) -> AsyncIterator[Forward]:
    """An SSH server for the block that lets in whoever has our key."""
    Machine.logins = 0
    authorized = asyncssh.import_authorized_keys(OURS.export_public_key().decode())
    acceptor = await asyncssh.create_server(
        Machine, "127.0.0.1", port, server_host_keys=list(host_keys), authorized_client_keys=authorized, **options
    )
    try:
        yield Forward(22, "127.0.0.1", acceptor.get_port())
    finally:
        acceptor.close()
        await acceptor.wait_closed()


@contextlib.asynccontextmanager
async def tunnel() -> AsyncIterator[Tunnel]:
    made = Tunnel("root", [OURS.export_private_key().decode()], 8888)
    try:
        yield made
    finally:
        await made.close()


def checked(keys: HostKeys, forward: Forward, attempt: int = 1) -> Callable[[asyncssh.SSHKey], Message | None]:
    return lambda key: keys.problem(key, forward, attempt)


async def visit(made: Tunnel, keys: HostKeys, forward: Forward, attempt: int = 1) -> None:
    """Open the tunnel, and remember the machine, as `AppAccess` does."""
    await made.open(forward, 9, checked(keys, forward, attempt))
    assert made.host_key is not None
    keys.keep(made.host_key, forward, attempt)


def test_a_machine_that_shows_another_host_key_gets_nothing_from_us() -> None:
    async def scene() -> None:
        keys = HostKeys()
        async with tunnel() as made:
            async with machine(FIRST) as forward:
                await visit(made, keys, forward)
            async with machine(SECOND, port=forward.port):
                with pytest.raises(TunnelError, match="shows another host key than before") as refused:
                    await visit(made, keys, forward)
                assert not refused.value.denied, "the right machine may be there again: it is tried again"
                assert not made.is_open
                assert Machine.logins == 0, "not even a user name was said"
            async with machine(FIRST, port=forward.port):
                await visit(made, keys, forward)
                assert made.is_open

    asyncio.run(scene())


def test_another_attempt_may_be_another_machine_at_another_address_only() -> None:
    keys, here, there = HostKeys(), Forward(22, "h", 1), Forward(22, "h", 2)
    keys.keep(FIRST, here, 1)
    assert keys.problem(FIRST, there, 1) is None
    assert "than before" in str(keys.problem(SECOND, there, 1)), "it is the same machine, reached in another way"
    assert keys.problem(SECOND, there, 2) is None
    assert "than before" in str(keys.problem(SECOND, here, 2)), "the same address"


def test_what_the_machine_has_printed_counts_more_than_what_was_seen() -> None:
    keys, here = HostKeys(), Forward(22, "h", 1)
    keys.keep(FIRST, here, 1)
    keys.pinned = frozenset({SECOND.get_fingerprint()})
    assert keys.problem(SECOND, here, 1) is None
    assert "than the one that the session printed" in str(keys.problem(FIRST, here, 1))
    keys.pinned = frozenset()
    assert keys.problem(FIRST, here, 1) is None, "a session that printed nothing pins nothing"


def test_a_pinned_machine_is_recognised_among_its_keys_and_no_other_is_spoken_to() -> None:
    async def scene() -> None:
        keys = HostKeys()
        rsa = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
        keys.pinned = frozenset({rsa.get_fingerprint(), FIRST.get_fingerprint()})
        async with tunnel() as made:
            async with machine(rsa, FIRST) as forward:
                await visit(made, keys, forward)
                assert keys.fingerprints(1) == (made.host_key.get_fingerprint(),)  # type: ignore[union-attr]
            async with machine(SECOND) as forward:
                with pytest.raises(TunnelError, match="that the session printed"):
                    await visit(made, keys, forward, 2)
                assert Machine.logins == 0

    asyncio.run(scene())


def test_a_host_certificate_stands_in_nobodys_way() -> None:
    async def scene() -> None:
        certificate = SECOND.generate_host_certificate(FIRST.convert_to_public(), "host", principals=["127.0.0.1"])
        async with tunnel() as made, machine((FIRST, certificate)) as forward:
            keys = HostKeys()
            await visit(made, keys, forward)
            line = FIRST.export_public_key().decode().split()[:2]
            assert keys.of(1) == " ".join(line)

    asyncio.run(scene())


def test_a_tunnel_that_is_opened_again_has_the_port_of_before() -> None:
    """What is open in the user's browser leads there."""

    async def scene() -> None:
        keys = HostKeys()
        async with tunnel() as other, tunnel() as made, machine(FIRST) as forward:
            await visit(other, keys, forward)
            await visit(made, keys, forward)
            before = made.port
            await other.close()
            await made.close()
            await visit(made, keys, forward)
            assert made.port == before

    asyncio.run(scene())


class Strict(Machine):
    """As OpenSSH: whoever has shown too many wrong keys is sent away."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self.connection.disconnect(asyncssh.DISC_PROTOCOL_ERROR, "Too many authentication failures")
        return False


def test_too_many_keys_are_a_denial_with_advice() -> None:
    async def scene() -> None:
        acceptor = await asyncssh.create_server(
            Strict, "127.0.0.1", 0, server_host_keys=[FIRST],
            authorized_client_keys=asyncssh.import_authorized_keys(SECOND.export_public_key().decode()),
        )  # fmt: skip
        async with tunnel() as made:
            with pytest.raises(TunnelError, match=r"too many keys.*--ssh-key") as refused:
                await made.open(Forward(22, "127.0.0.1", acceptor.get_port()), 9, lambda _: None)
            assert refused.value.denied
        acceptor.close()

    asyncio.run(scene())


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            await serve(reader, writer)

    made = await asyncio.start_server(visited, "127.0.0.1", 0)
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()


def says(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        await reader.read()

    return serve


async def drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"S")
        await writer.drain()
        await asyncio.sleep(0.05)


async def floods(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 200" * 10_000)
        await writer.drain()


@pytest.mark.parametrize(("status", "up"), [("200 OK", True), ("302 Found", True), ("404 No", False), ("503 X", False)])
def test_a_probe_goes_by_the_first_line_and_follows_no_redirect(status: str, up: bool) -> None:
    async def scene() -> None:
        led_on = 0

        async def elsewhere(*_: Any) -> None:
            nonlocal led_on
            led_on += 1

        async with server(elsewhere) as other:
            text = f"HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:{other}/\r\n\r\n"
            async with server(says(text.encode())) as port:
                assert await answers(port, "/") is up
        assert not led_on

    asyncio.run(scene())


@pytest.mark.parametrize("serve", [drips, floods, says(b""), says(b"SSH-2.0-x" + b"y" * 100_000)])
def test_a_probe_ends_in_time_and_in_little_memory(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run_qarnot.engine.tunnel._PROBE_SECONDS", 0.5)

    async def scene() -> None:
        async with server(serve) as port, asyncio.timeout(5):
            tracemalloc.start()
            assert not await answers(port, "/")
            assert not await speaks_ssh("127.0.0.1", port)
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
            tracemalloc.stop()

    asyncio.run(scene())


def test_where_nobody_listens_nothing_answers() -> None:
    async def scene() -> None:
        port = free_port()
        assert not await answers(port, "/")
        assert not await speaks_ssh("127.0.0.1", port)

    asyncio.run(scene())


@given(st.binary(max_size=200))
def test_no_answer_breaks_a_probe(text: bytes) -> None:
    async def scene() -> None:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(text)

        async with server(serve) as port:
            assert await answers(port, "/") is False
            assert await speaks_ssh("127.0.0.1", port) is text.startswith(b"SSH-")

    asyncio.run(scene())
