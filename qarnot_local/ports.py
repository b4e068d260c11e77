"""Where a cluster listens. With a state folder, the ports are the same after a restart, so that the
addresses that programs have stored stay valid."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from qarnot_local import private


def tcp_socket() -> socket.socket:
    """Name the protocol: only then does asyncio set TCP_NODELAY. Without it each answer waits 40 ms for an ACK."""
    return socket.socket(proto=socket.IPPROTO_TCP)


def listen(port: int = 0) -> socket.socket:
    """Listen on this port of this machine alone, 0 for any free one. Raises OSError or OverflowError."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(tcp_socket())
        # Reuse a port in TIME_WAIT at once, but no port on which another program listens.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        stack.pop_all()  # keep it open
        return listener


class Ports:
    """The ports by name, as they were last."""

    def __init__(self, state_dir: Path | None) -> None:
        self._file = state_dir / "ports.json" if state_dir else None
        self._ports = _read(self._file) if self._file else {}
        self.lost: list[
            tuple[str, int, int]
        ] = []  # (name, port before, port now) where another program uses the old one

    def listen(self, name: str, wanted: int = 0) -> socket.socket:
        """Listen on the wanted port; if none is, on the one from before, or else on any. Raises as `listen` does."""
        before = self._ports.get(name, 0)
        listener = None
        if not wanted and before:
            with contextlib.suppress(OSError, OverflowError):
                listener = listen(before)
        listener = listener or listen(wanted)
        port = listener.getsockname()[1]
        if not wanted and before not in {0, port}:
            self.lost.append((name, before, port))
        self._ports[name] = port
        if self._file:
            private.write(self._file, json.dumps(self._ports))
        return listener


def _read(file: Path) -> dict[str, int]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_text("utf-8"))
        if isinstance(found, dict):
            return {name: port for name, port in found.items() if type(port) is int}
    return {}
