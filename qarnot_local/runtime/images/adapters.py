"""The adapters, tried in order. The last one accepts every task."""

from __future__ import annotations

from qarnot_local.runtime.images import jupyterlab, shell
from qarnot_local.runtime.images.adapter import Adapter, InstancePlace, Start
from qarnot_local.runtime.tasks import Task

_ADAPTERS: list[Adapter] = [jupyterlab.adapter, shell.sshd_adapter, shell.adapter]


def start_for(task: Task, instance: int, place: InstancePlace) -> Start:
    """Return the first adapter's answer.

    Raises:
        ValueError: the task cannot be started; its text is a sentence for the user.
    """
    for adapter in _ADAPTERS:
        start = adapter(task, instance, place)
        if start is not None:
            return start
    raise ValueError("No adapter knows how to start this task.")
