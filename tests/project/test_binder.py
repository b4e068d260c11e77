"""The folder `binder/`, as far as it can be tried without Binder."""

from __future__ import annotations

import importlib.metadata
import tomllib

import pytest
from packaging.requirements import Requirement
from support.repository import ROOT

BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCAL = [
    name for name in PROJECT["optional-dependencies"]["local"] if not name.startswith("jupyterlab")
]  # of Binder's base
NEEDED = {requirement.name: requirement for requirement in map(Requirement, [*PROJECT["dependencies"], *LOCAL])}
PINS = {
    requirement.name: requirement
    for line in (BINDER / "constraints.txt").read_text().splitlines()
    if (text := line.partition("#")[0].strip())
    for requirement in [Requirement(text)]
}


def test_it_installs_this_project_with_the_pins() -> None:
    assert (BINDER / "requirements.txt").read_text().split() == ["-c", "constraints.txt", ".[local]"], (
        "“Try it here” wants the extra"
    )
    python = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert PROJECT["requires-python"] == f">={python}"


def test_every_dependency_is_pinned_and_nothing_that_binder_brings() -> None:
    assert set(PINS) == {*NEEDED, "ipyvue"}  # ipyvue: the message guard of the page is made for its inside


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_pin_is_what_the_tests_run_with(name: str) -> None:
    version = importlib.metadata.version(name)
    assert str(PINS[name].specifier) == f"=={version}", "change binder/constraints.txt, or install by it: make test"
    assert name not in NEEDED or NEEDED[name].specifier.contains(version)
