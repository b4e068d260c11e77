"""Which images a cluster can run, as its profiles say."""

from typing import Any

import pytest

from run_qarnot.catalog.image import Image
from run_qarnot.engine.played_images import PLAYED, PLAYED_BUNDLED, can_run

LOCAL = {
    PLAYED: "qarnotlab/jupyterlab-* library/*",
    PLAYED_BUNDLED: "jupyter/*-notebook",
    "DOCKER_REPO": "library/ubuntu",
}


@pytest.mark.parametrize("image", [Image(id="x", repo="team/lab"), Image(id="x", repo="team/lab", start="bundled")])
def test_a_profile_that_does_not_say_runs_everything(image: Image) -> None:
    assert can_run(image, {})
    assert can_run(image, {"DOCKER_REPO": "library/ubuntu"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"repo": "qarnotlab/jupyterlab-base"}, True),
        ({"repo": "library/python"}, True),
        ({"repo": "library/python", "start": "bundled"}, False),
        ({"repo": "team/lab"}, False),
        ({"repo": "team/lab", "command": "/bin/sh /opt/start.sh"}, False),
        ({"repo": "team/lab", "command": "/bin/sh start.sh"}, True),
        ({"repo": "jupyter/scipy-notebook", "start": "bundled"}, True),  # by this computer's JupyterLab
        ({"repo": "jupyter/scipy-notebook", "start": "bundled", "app": "web", "port": 80}, False),
        ({"repo": "jupyter/scipy-notebook"}, False),
        ({"repo": "quay.io/library/python"}, False),
        ({}, True),  # the profile's own
        ({"constants": {"DOCKER_REPO": "team/lab"}}, False),
        ({"repo": "team/lab", "command": "python3 lab.py", "start": "bundled"}, False),
    ],
)
def test_the_local_cluster_plays_some(changes: dict[str, Any], expected: bool) -> None:
    assert can_run(Image(id="x", **changes), LOCAL) is expected
    runs_by_itself = expected and "command" in changes  # on the computer, whatever images it plays
    assert can_run(Image(id="x", **changes), LOCAL | {PLAYED: "", PLAYED_BUNDLED: ""}) is runs_by_itself


@pytest.mark.parametrize("changes", [{"command": "sleep 60"}, {"constants": {"DOCKER_CMD": "sleep 60"}}])
def test_a_command_is_run_by_the_computer_itself(changes: dict[str, Any]) -> None:
    assert can_run(Image(id="x", repo="team/lab", **changes), LOCAL)
