"""A real JupyterHub: its own proxy, servers as plain processes, and the configuration that `docs/deploy.md` prints."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from support.command import clean_environment
from support.ports import free_port
from support.repository import ROOT
from support.supervised import Supervised

USERS = ("anna", "ben")
PASSWORD = "a password of the test's"
PROXY = Path(sys.prefix) / "hub_proxy" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
_SNIPPET = re.compile(r"```python\n(# jupyterhub_config\.py\n.*?)```", re.DOTALL)

# What differs from a hub on a server: where it keeps its things, who may log in, and that servers are plain processes
# of whoever runs the tests.
_TEST_CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}/"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = ["node", {proxy!r}]
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {password!r}
c.Authenticator.allowed_users = {users!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.ip = "127.0.0.1"
c.Spawner.http_timeout = c.Spawner.start_timeout = 120
c.Spawner.environment = {environment!r}
"""


class Hub(Supervised):
    """A running hub. `url` ends with a slash."""

    def __init__(self, folder: Path, **environment: str) -> None:
        """Start it.

        Arguments:
            folder: for its files and its users' homes; short, because paths of sockets have a limit.
            environment: of the hub itself; its configuration says what of that its users' servers get.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        self.folder = folder
        configuration = _TEST_CONFIGURATION.format(
            port=port, hub_port=free_port(), api_port=free_port(), proxy=str(PROXY), password=PASSWORD,
            users=set(USERS), homes=f"{folder}/{{username}}", python=sys.executable,
            environment={"TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        (folder / "tmp").mkdir()
        (folder / "jupyterhub_config.py").write_text(configuration + documented_configuration())
        super().__init__(
            [sys.executable, "-m", "jupyterhub"],
            folder,
            clean_environment(HOME=str(folder), TMPDIR=str(folder / "tmp"), **environment),
            folder / "log",
            f"{self.url}hub/health",
        )


def documented_configuration() -> str:
    """The configuration of JupyterHub that `docs/deploy.md` prints."""
    (found,) = _SNIPPET.findall((ROOT / "docs" / "deploy.md").read_text())
    return str(found)


@contextlib.contextmanager
def hub(folder: Path, **environment: str) -> Iterator[Hub]:
    """Run one for the block."""
    assert PROXY.exists(), "JupyterHub's proxy is not installed: make test does it, and wants npm"
    assert shutil.which("node"), "there is no node on this machine (Debian: apt-get install nodejs)"
    assert os.environ.get("PATH")
    running = Hub(folder, **environment)
    try:
        running.wait()
        yield running
    finally:
        running.end()
