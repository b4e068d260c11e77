"""Our own server in a process of its own, asked over HTTP."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psutil

from support.processes import gone, words_of
from support.repository import ROOT
from support.servers import kernels_below
from support.waiting import wait_until

Answer = tuple[int, http.client.HTTPMessage, str]


class Site:
    """The server in a process of its own."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.ending: tuple[int, str, str] | None = None
        self.temporary = Path(tempfile.mkdtemp(prefix="rq-"))  # short, as usual: paths of sockets have a limit
        environment = {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)} | {
            "QARNOT_CLUSTER_URL": "http://127.0.0.1:1",  # where nobody listens
            **variables,
        }
        command = [sys.executable, "-m", "run_qarnot.page.server", "--no-browser", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.address = urlsplit(self.line.split()[-1]) if self.line else urlsplit("")
        found = re.fullmatch(r"unix:(.*):(/.*)", self.line.partition("http://")[2].strip())
        self.socket = Path(found[1]) if found else None
        if found:
            self.address = urlsplit(found[2])
        self.port = self.address.port
        self.cookie = ""

    def get(self, path: str = "/", method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        connection = self._connect()
        try:
            if self.cookie and "Cookie" not in headers:
                headers["Cookie"] = self.cookie
            connection.request(
                method, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self.socket is None:
            assert self.port is not None, self.process.communicate()[1]
            return http.client.HTTPConnection("localhost", self.port, timeout=60)
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.socket))
        return connection

    def log_in(self) -> Site:
        """By the address that it printed; `get` is logged in from now on."""
        headers = self.get(f"{self.address.path}?{self.address.query}")[1]
        self.cookie = headers["Set-Cookie"].split(";")[0]
        return self

    def fill_in(self, token: str, goal: str = "", **headers: str) -> Answer:
        """Send the login form."""
        kind = {"Content_Type": "application/x-www-form-urlencoded"}
        body = urlencode({"token": token, "next": goal})
        return self.get(f"{self.address.path}login", "POST", body, **kind, **headers)

    def without_copies(self) -> Site:
        """Let kernels be started anew: of one that is a copy, the system shows the environment of what was copied."""
        children = psutil.Process(self.process.pid).children()
        zygotes = [each for each in children if "run_qarnot.page.zygote" in words_of(each)]
        for each in zygotes:
            each.kill()
        wait_until(lambda: gone(zygotes), "the process that is copied to end")
        return self

    def kernels(self) -> list[psutil.Process]:
        return kernels_below(psutil.Process(self.process.pid))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End it, once; return its code and what it said."""
        if self.ending is None:
            self.process.send_signal(number)
            out, err = self.process.communicate(timeout=30)
            self.left = [path.name for path in self.temporary.iterdir()]
            shutil.rmtree(self.temporary)
            self.ending = self.process.returncode, out, err
        return self.ending
