"""Which tasks this machine's JupyterLab stands in for, and with which programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.images.adapter import InstancePlace
from qarnot_local.runtime.images.jupyterlab import adapter
from qarnot_local.runtime.tasks import Instance, Task

BUNDLED = {"DOCKER_REPO": "jupyter/scipy-notebook", "RUN_QARNOT_START": "bundled", "RUN_QARNOT_APP": "jupyterlab"}
PLACE = InstancePlace(Path("/runs/0/job"), Path("/runs/share"), "127.0.9.1")


def task(**constants: str) -> Task:
    given = [{"key": key, "value": value} for key, value in constants.items()]
    made = Task(TaskDefinition.model_validate({"profile": "docker-cluster-network-ssh", "constants": given}))
    made.instances = [Instance(0), Instance(1), Instance(2)]
    return made


@pytest.mark.parametrize(
    ("constants", "is_played"),
    [
        (BUNDLED, True),
        (BUNDLED | {"RUN_QARNOT_COMMAND": "run"}, False),
        (BUNDLED | {"RUN_QARNOT_APP": "web"}, False),
        (BUNDLED | {"DOCKER_REPO": "team/lab"}, False),
        ({"DOCKER_REPO": "qarnotlab/jupyterlab-base"}, True),
        ({"DOCKER_REPO": "qarnotlab/jupyterlab-base", "DOCKER_CMD": "echo"}, False),
    ],
)
def test_what_is_played(constants: dict[str, str], is_played: bool) -> None:
    assert (adapter(task(**constants), 0, PLACE) is not None) is is_played


def test_machines_with_dask_are_told_of_each_other() -> None:
    start = adapter(task(**BUNDLED, RUN_QARNOT_CLUSTER="dask"), 2, PLACE)
    assert start
    told = " ".join(start.command)
    assert "--share /runs/share --address 127.0.9.1 --number 2 --count 3" in told
    assert "machines.py" in told
