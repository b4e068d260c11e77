"""A Jupyter server as an operator runs one: at a base address, with a login token, and our package installed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import requests

from support.command import clean_environment
from support.ports import free_port
from support.processes import gone, words_of
from support.waiting import wait_until

TOKEN = "a-login-token-of-the-server"
HUB_SECRETS = {"JUPYTERHUB_API_TOKEN": "secret-of-the-hub", "JPY_API_TOKEN": "secret-of-the-hub"}


class JupyterServer:
    """A running one. `url` ends with a slash."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        port = free_port()
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}/user/me/"
        self.page = f"{self.url}run-qarnot/"
        environment = clean_environment(
            HOME=str(folder), TMPDIR=str(folder), QARNOT_CLUSTER_URL="http://127.0.0.1:1", **HUB_SECRETS, **variables
        )
        command = ["--no-browser", "--allow-root", f"--port={port}", f"--IdentityProvider.token={TOKEN}"]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", *command, "--ServerApp.base_url=/user/me/", *options],
                cwd=folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self._answers() or self.process.poll() is not None, "the server", seconds=60)
        assert self.process.poll() is None, self.log

    def visitor(self) -> requests.Session:
        """Somebody who has logged in, by a browser that says where its requests come from."""
        session = requests.Session()
        session.trust_env = False
        session.get(f"{self.url}tree", params={"token": TOKEN}, timeout=30)
        assert session.cookies
        return session

    def open(self, session: requests.Session, path: str = "", **headers: str) -> requests.Response:
        """Open the page as a browser does: it may be starting."""
        answer: requests.Response | None = None

        def is_there() -> bool:
            nonlocal answer
            answer = session.get(self.page + path, headers={"Accept": "text/html", **headers}, timeout=60)
            return answer.status_code != 503

        wait_until(is_there, "the page", seconds=60)
        assert answer is not None
        return answer

    def ours(self) -> list[psutil.Process]:
        """The processes of the page's server; JupyterLab may have some of its own."""
        children = psutil.Process(self.process.pid).children()
        parents = [child for child in children if runs(child, "run_qarnot.lifeline")]
        return [process for parent in parents for process in (parent, *parent.children(recursive=True))]

    def page_server(self) -> psutil.Process:
        (found,) = [each for each in self.ours() if runs(each, "run_qarnot.page.server")]
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            ours = self.ours()
            self.process.terminate()
            self.process.wait(timeout=30)
            wait_until(lambda: gone(ours), "the page's server to end")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return bool(requests.get(f"{self.url}api", timeout=5).ok)
        return False


def runs(process: psutil.Process, module: str) -> bool:
    return words_of(process)[1:4] == ["-P", "-m", module]
