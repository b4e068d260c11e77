"""`qarnotlab/jupyterlab-*`: this machine's real JupyterLab, started as the image's own script starts it (§3.5)."""

from __future__ import annotations

import secrets
import site
import socket
import sys
from pathlib import Path

from qarnot_local.runtime.images import Start
from qarnot_local.runtime.tasks import Task

_PROGRAM = Path(__file__).with_name("jupyterlab_program.py")
# What keeps the packages of a session is a program of containers: it is run by its path, and never imported.
_PACKAGES = Path(__file__).parents[3] / "run_qarnot" / "bootstrap" / "packages.py"
_PORT = 8888  # in the container


def adapter(task: Task, instance: int, job: Path) -> Start | None:
    """Play the image when the profile brings JupyterLab up, or DOCKER_CMD runs the image's start script."""
    constants = task.constants
    if not constants.get("DOCKER_REPO", "").startswith("qarnotlab/jupyterlab-"):
        return None
    command = constants.get("DOCKER_CMD", "").strip()
    if not (task.profile == "jupyterlab" or not command or "start_jupyterlab.sh" in command):
        return None
    port = _free_port()
    token = constants.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    options = ["--job", str(job), "--packages", str(_PACKAGES), "--port", str(port), "--shown-port", str(_PORT)]
    for folder in _site_folders():
        options += ["--site", folder]
    # -P: the folder of the program must not become a place to import from, `jupyterlab.py` lies there.
    command_line = [sys.executable, "-P", str(_PROGRAM), *options]
    return Start(command_line, environment={"JUPYTER_TOKEN": token}, ports={_PORT: port})


def _site_folders() -> list[str]:
    """Where this environment's packages are. Found here: the task has another HOME, hence another user site."""
    known = {*site.getsitepackages(), site.getusersitepackages()}
    endings = ("site-packages", "dist-packages")
    return [path for path in sys.path if (path in known or path.endswith(endings)) and Path(path).is_dir()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
