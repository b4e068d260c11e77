"""A session's machine, of real parts: an OpenSSH server that leads to a real JupyterLab, or to any app.

python -m support.machine BASE_URL FOLDER     a server with the proxy into sessions alone; prints its port
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.model.connections import Forward, Mount
from run_qarnot.page import registry_socket, session_proxy
from run_qarnot.page.proxied import TICKET
from run_qarnot.page.session_registry import SessionRegistry
from support.ports import free_port
from support.repository import ROOT
from support.ssh import make_key
from support.waiting import wait_until

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
SESSION_ID = "rq-0123456789ab"
APP_TOKEN = "app-token-that-nobody-may-see-0123456789abcdef"
KEY = "k" * 64
PATH = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


class Machine:
    """An SSH server with a host key of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.key = make_key(folder, "session")
        make_key(folder, "host")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        if os.geteuid() == 0:  # sshd wants this folder; it stays, because tests beside this one need it too
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        options = {
            "Port": self.port, "ListenAddress": LOOPBACK, "HostKey": self.folder / "host", "UsePAM": "no",
            "AuthorizedKeysFile": self.key, "StrictModes": "no", "PidFile": "none", "PermitRootLogin": "yes",
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *arguments]
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        wait_until(lambda: _listens(self.port), "the SSH server")

    def stop(self) -> None:
        """End it, with all connections."""
        process, self._process = self._process, None
        if process is not None:
            descendants = psutil.Process(process.pid).children(recursive=True)
            for each in descendants:
                each.kill()
            process.kill()
            process.wait()

    def session(self, app_port: int, **changes: Any) -> ProxiedSession:
        values: dict[str, Any] = {
            "id": SESSION_ID, "key": KEY, "user": getpass.getuser(), "app_port": app_port, "app_token": APP_TOKEN,
            "private_key": self.key.with_suffix("").read_text(), "ssh": Forward(22, LOOPBACK, self.port),
            "base_path": f"/{SESSION_ID}/", "mount": Mount.PREFIX,
        } | changes  # fmt: skip
        return ProxiedSession(**values)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Run an SSH server for the block."""
    running = Machine(folder)
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def jupyterlab(folder: Path, base_path: str = f"/{SESSION_ID}/") -> Iterator[int]:
    """Run a JupyterLab for the block; yields its port."""
    port, work = free_port(), folder / "work"
    work.mkdir(parents=True)
    python = [sys.executable, "-m"]
    command = [
        # at its end the server may wait for kernels that ended at the same moment: the lifeline ends all of them
        *python, "run_qarnot.lifeline", "--grace", "5", "--",
        *python, "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.base_url={base_path}",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    environment = PATH | {
        "HOME": str(folder), "JUPYTER_TOKEN": APP_TOKEN, "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "SHELL": "/bin/sh",
    }  # fmt: skip
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    assert process.stdin is not None
    try:
        wait_until(lambda: process.poll() is not None or _answers(port, f"{base_path}api"), "JupyterLab", seconds=90)
        assert process.poll() is None, (folder / "lab.log").read_text()
        yield port
    finally:
        process.stdin.close()
        process.wait(timeout=30)


class ProxyServer:
    """The proxy into sessions in a process of its own; as part of the dashboard it has the same route and socket."""

    def __init__(self, folder: Path, base_url: str, port: int = 0) -> None:
        self.folder, self.base_url = folder, base_url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "support.machine", base_url, str(folder), str(port)],
            env=PATH, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.port}"

    def register(self, session: ProxiedSession) -> None:
        _run(registry_socket.register(self.folder, session))

    def address(self, session: ProxiedSession, path: str = "lab") -> str:
        """An address that opens the session, once."""
        ticket = _run(registry_socket.get_ticket(self.folder, session, path, self.origin))
        return f"{self.origin}{self.base_url}{session.id}/?{TICKET}={ticket}"

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@contextlib.contextmanager
def proxy_server(folder: Path, base_url: str = "/") -> Iterator[ProxyServer]:
    """Run the proxy for the block. The path of `folder` must be short: it holds a socket."""
    server = ProxyServer(folder, base_url)
    try:
        yield server
    finally:
        server.end()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own, in a thread: Playwright has one in that of the test."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False


def _answers(port: int, path: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://{LOOPBACK}:{port}{path}", timeout=2).ok
    return False


class _Dashboard(RequestHandler):
    """What stands around the sessions: a page with cookies of its own, which no session may see."""

    def get(self) -> None:
        self.set_cookie("_xsrf", "of-the-dashboard", path="/")
        self.set_cookie("login", "secret-of-the-dashboard", path="/")
        self.finish("<title>Dashboard</title><h1>The dashboard</h1>")


async def _serve(base_url: str, folder: Path, port: int) -> None:
    registry = SessionRegistry()
    app = Application([session_proxy.route(base_url, registry), (base_url, _Dashboard)], xsrf_cookies=True)
    sockets = bind_sockets(port, LOOPBACK)
    server = HTTPServer(app)
    async with registry_socket.listening(registry, folder):
        server.add_sockets(sockets)
        print(sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
