"""`qarnotlab/jupyterlab-*`: this machine's real JupyterLab, started as the image's own script starts it (§3.5)."""

from __future__ import annotations

import secrets
import site
import socket
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from qarnot_local.runtime.images.adapter import InstancePlace, Start
from qarnot_local.runtime.profiles import BUNDLED
from qarnot_local.runtime.tasks import Task

_PROGRAM = Path(__file__).with_name("jupyterlab_program.py")
# What keeps the packages of a session and what connects several machines are programs of containers: they are run by
# path, and never imported.
_PROGRAMS = Path(__file__).parents[3] / "run_qarnot" / "bootstrap"
_PORT = 8888  # in the container


def adapter(task: Task, instance: int, place: InstancePlace) -> Start | None:
    """Play the image when the profile brings JupyterLab up, or its command runs a start script."""
    if not (_has_its_own_script(task) or _has_a_bundled_script(task)):
        return None
    constants, port = task.constants, _free_port()
    token = constants.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    options = ["--job", str(place.job), "--packages", str(_PROGRAMS / "packages.py"), "--port", str(port)]
    options += ["--shown-port", str(_PORT)]
    if constants.get("RUN_QARNOT_CLUSTER") == "dask":
        options += _machines(task, instance, place)
    for folder in _site_folders():
        options += ["--site", folder]
    # -P: the folder of the program must not become a place to import from, `jupyterlab.py` lies there.
    command_line = [sys.executable, "-P", str(_PROGRAM), *options]
    return Start(command_line, environment={"JUPYTER_TOKEN": token}, ports={_PORT: port})


def _has_its_own_script(task: Task) -> bool:
    """Whether it is one of Qarnot's images, which start JupyterLab themselves."""
    constants = task.constants
    if not constants.get("DOCKER_REPO", "").startswith("qarnotlab/jupyterlab-"):
        return False
    command = constants.get("DOCKER_CMD", "").strip()
    return task.profile == "jupyterlab" or not command or "start_jupyterlab.sh" in command


def _has_a_bundled_script(task: Task) -> bool:
    """Whether Run Qarnot's start script, which needs a container, is to start JupyterLab."""
    constants = task.constants
    is_lab = constants.get("RUN_QARNOT_APP") == "jupyterlab" and not constants.get("RUN_QARNOT_COMMAND")
    is_played = any(fnmatchcase(constants.get("DOCKER_REPO", ""), pattern) for pattern in BUNDLED.split())
    return constants.get("RUN_QARNOT_START") == "bundled" and is_lab and is_played


def _machines(task: Task, instance: int, place: InstancePlace) -> list[str]:
    """Arguments for a run whose machines work together. They share this computer: one process each is enough."""
    share, address = place.share or place.job.parent / "share", place.address or "127.0.0.1"
    numbers = ["--number", str(instance), "--count", str(len(task.instances))]
    return ["--machines", str(_PROGRAMS / "machines.py"), "--share", str(share), "--address", address, *numbers]


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
