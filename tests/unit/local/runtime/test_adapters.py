"""Which adapter starts a task: the first that can."""

from __future__ import annotations

from pathlib import Path

from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.images.adapter import InstancePlace
from qarnot_local.runtime.images.adapters import start_for
from qarnot_local.runtime.tasks import Task


def test_a_command_is_run_by_a_shell_of_this_machine(tmp_path: Path) -> None:
    constants = [{"key": "DOCKER_CMD", "value": "echo hello"}]
    task = Task(TaskDefinition.model_validate({"profile": "docker-batch", "constants": constants}))
    start = start_for(task, 0, InstancePlace(tmp_path))
    assert "echo hello" in " ".join(start.command)
