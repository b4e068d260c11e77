"""Command lines and variables of tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from qarnot_local.runtime.commands import arguments, expand
from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.environment import task_environment
from qarnot_local.runtime.images.adapter import InstancePlace
from qarnot_local.runtime.images.shell import adapter
from qarnot_local.runtime.tasks import Instance, Task

JOB = Path("/runs/1/job")
PLACE = InstancePlace(JOB)


def task(profile: str = "docker-batch", **constants: str) -> Task:
    given = [{"key": key, "value": value} for key, value in constants.items()]
    made = Task(TaskDefinition.model_validate({"profile": profile, "instanceCount": 2, "constants": given}))
    made.instances = [Instance(0), Instance(1)]
    return made


def test_constants_are_expanded_inside_each_other_but_not_for_ever() -> None:
    assert expand("${A} ${NONE}", {"A": "${B}!", "B": "b"}) == "b! ${NONE}"
    assert expand("${A}", {"A": "${A}"}) == "${A}"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python3 /job/x.py 'a b'", ["python3", "/runs/1/job/x.py", "a b"]),
        ("'cd /job && ls'", ["/bin/sh", "-c", "cd /runs/1/job && ls"]),
        ("cat /jobs/x my/job", ["cat", "/jobs/x", "my/job"]),
    ],
)
def test_a_command_line_is_split_and_has_its_job_folder(command: str, words: list[str]) -> None:
    assert arguments(command, {}, PLACE.local) == words


def test_an_instance_sees_what_it_is_told_and_no_secret_of_the_caller() -> None:
    caller = {"PATH": "/bin", "QARNOT_CLIENT_TOKEN": "secret", "HTTPS_PROXY": "http://me:pass@proxy"}
    seen = task_environment(task(DATA_DIR="/job/data", A="${x}"), 1, JOB, Path("/h"), caller)
    assert (seen["INSTANCE_ID"], seen["INSTANCE_COUNT"], seen["DATA_DIR"], seen["A"]) == (
        "1",
        "2",
        "/runs/1/job/data",
        "${x}",
    )
    assert not {"QARNOT_CLIENT_TOKEN", "HTTPS_PROXY"} & seen.keys()
    assert seen["PATH"] == "/h/bin:/bin"


def test_the_first_instance_of_a_cluster_is_the_master() -> None:
    cluster = task("docker-cluster", DOCKER_CMD_MASTER="lead", DOCKER_CMD_WORKER="work ${INSTANCE_ID}")
    assert [adapter(cluster, number, PLACE).command for number in (0, 1)] == [["lead"], ["work", "1"]]
    assert "nothing to do" in adapter(task(), 0, PLACE).notice
    with pytest.raises(ValueError, match="cannot be read"):
        adapter(task(DOCKER_CMD="'"), 0, PLACE)
