"""Images without an adapter of their own: their command runs on this machine, and the output says so."""

from __future__ import annotations

import re

from qarnot_local.runtime.commands import arguments, expand
from qarnot_local.runtime.environment import instance_variables
from qarnot_local.runtime.images.adapter import InstancePlace, Start
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.tasks import Task

_AFTER = {"POST_PROCESSING_CMD"}  # runs after the software, so it is none of its commands
_SSHD = re.compile(r"(^|[\s/'\"])sshd\b")
_STAY = ["/bin/sh", "-c", "while :; do sleep 3600; done"]


def _command(task: Task, instance: int) -> str:
    """What this instance runs: on `docker-cluster*` the first one is the master (§3.2)."""
    constants = task.constants
    role = "DOCKER_CMD_WORKER" if instance else "DOCKER_CMD_MASTER"
    own = constants.get(role, "") if PROFILES[task.profile].is_cluster else ""
    return own or constants.get("DOCKER_CMD", "")


def _waits_for_visitors(task: Task, *, has_command: bool) -> bool:
    """Whether a task of a software profile, which has nothing to run here, is kept up for visitors.

    It is for a key in DOCKER_SSH, or without any command of its software, such as FLUENT_CMD; a batch program sets a
    command and no key, and waits for the end (§3.2).
    """
    if has_command or not PROFILES[task.profile].stays:
        return False
    constants = task.constants
    is_batch = any(name.endswith("_CMD") and name not in _AFTER and value for name, value in constants.items())
    return bool(constants.get("DOCKER_SSH")) or not is_batch or constants.get("NO_EXIT", "").casefold() == "true"


def adapter(task: Task, instance: int, place: InstancePlace) -> Start:
    """DOCKER_CMD, run by this machine without a container (§3.2)."""
    constants = task.constants
    image = f"{constants.get('DOCKER_REPO') or 'library/ubuntu'}:{constants.get('DOCKER_TAG') or 'latest'}"
    notice = f"Local cluster: no container is used here. The command of {image} runs on this machine.\n"
    command = _command(task, instance)
    try:
        words = arguments(command, {**constants, **instance_variables(task, instance)}, place.local)
    except ValueError as error:
        raise ValueError(f"DOCKER_CMD cannot be read: {error}.") from error
    if _waits_for_visitors(task, has_command=bool(words)):
        return Start(_STAY, notice=notice + "Its software is not here; the task waits for visitors by SSH.\n")
    if not words:
        notice += "DOCKER_CMD is empty, and what the image would run is not known here: nothing to do.\n"
    return Start(words or ["true"], notice=notice)


def sshd_adapter(task: Task, instance: int, place: InstancePlace) -> Start | None:
    """A command that installs DOCKER_SSH and starts `sshd`, as profiles with a forward ask for (§3.4).

    It must not run here: it would write this user's own `authorized_keys` and start a server for this machine. The
    cluster's own SSH side does what it is for, so the task only has to stay.
    """
    command = expand(_command(task, instance), task.constants)
    if not PROFILES[task.profile].forwards or not _SSHD.search(command):
        return None
    notice = "Local cluster: no container is used here. The cluster itself answers SSH in place of this image's sshd.\n"
    return Start(_STAY, notice=notice)
