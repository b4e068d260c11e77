"""Servers of ours, run as a user runs them, and what they leave behind."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from support.command import CommandLine
from support.ports import free_port
from support.processes import words_of
from support.waiting import wait_until

_ADDRESS = re.compile(r"https?://\S+")


class Server:
    """A running `run-qarnot demo` or `dashboard`, with all that it prints and all processes that it started."""

    def __init__(self, cli: CommandLine, *arguments: object) -> None:
        self.process = subprocess.Popen(
            cli.command(*arguments), cwd=cli.folder, env=dict(cli.environment), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def address(self, query: str = "") -> str:
        """Wait for the address that it prints, which logs in; `query` is added, such as that of a launch link."""
        wait_until(lambda: _ADDRESS.search(self.printed) or self.process.poll() is not None, "an address", seconds=90)
        found = _ADDRESS.search(self.printed)
        assert found, self.printed
        return f"{found[0]}&{query}" if query else found[0]

    def family(self) -> list[psutil.Process]:
        """All its descendants, now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def token(self) -> str:
        """The token that its parts got."""
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                if token := process.environ().get("QARNOT_CLIENT_TOKEN"):
                    return token
        raise AssertionError("no part has a token")

    def interrupt(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        self._reader.join(timeout=10)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed += line


def ports_of(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """The addresses on which processes listen."""
    found = set()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found |= {(c.laddr.ip, c.laddr.port) for c in process.net_connections() if c.status == psutil.CONN_LISTEN}
    return found


def kernels(server: Server) -> list[psutil.Process]:
    """The kernels of its visitors."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return kernels_below(psutil.Process(server.process.pid))
    return []


def kernels_below(ancestor: psutil.Process) -> list[psutil.Process]:
    """The kernels that a process started, or the process that its kernels are copies of."""
    found = []
    for process in ancestor.children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ends just now
            if "ipykernel_launcher" in " ".join(words_of(process)):
                found.append(process)
    return found


@contextlib.contextmanager
def running(cli: CommandLine, *arguments: object) -> Iterator[Server]:
    """Run a server for the block; whatever happens, nothing of it stays."""
    server = Server(cli, *arguments)
    try:
        yield server
    finally:
        family = server.family()
        if server.process.poll() is None:
            server.interrupt()
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()


@contextlib.contextmanager
def dashboard(cli: CommandLine) -> Iterator[Server]:
    """Run a dashboard for the block, from when it can be opened."""
    with running(cli, "dashboard", "--no-browser", "--port", free_port()) as server:
        server.address()
        yield server


def files_with(secret: str, folder: Path) -> list[Path]:
    """The files below a folder that hold a secret."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and secret.encode() in path.read_bytes():
                found.append(path)
    return found


def get(address: str, path: str = "") -> str:
    """Read a page of a plain server; `address` may have a query, which is left out."""
    address = address.partition("?")[0]
    with urllib.request.urlopen(f"{address}{path}", timeout=10) as answer:
        assert answer.status == 200
        text: str = answer.read().decode()
        return text
