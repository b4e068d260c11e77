"""The versions that are installed here, in CI and on Binder; the folder `binder/`, as far as it can be tried here."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.binder import base_packages
from support.repository import ROOT

BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read(*lines: str) -> dict[str, Requirement]:
    """The requirements in some lines, by their names; hashes and comments are passed over."""
    texts = [re.sub(r"\\$|#.*", "", line).strip() for line in lines if not line.lstrip().startswith("--")]
    return {canonicalize_name(found.name): found for found in map(Requirement, filter(None, texts))}


ALL = read(*(ROOT / "constraints-dev.txt").read_text().splitlines())
PINS = read(*(BINDER / "constraints.txt").read_text().splitlines())
RUNTIME = read(*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["local"])
DEVELOPMENT = read(*PROJECT["optional-dependencies"]["dev"])


def version(pin: Requirement) -> str:
    (found,) = pin.specifier
    assert found.operator == "=="
    return found.version


def test_binder_installs_this_project_with_the_pins() -> None:
    assert (BINDER / "requirements.txt").read_text().split() == ["-c", "constraints.txt", ".[local]"], (
        "“Try it here” wants the extra"
    )
    python = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert PROJECT["requires-python"] == f">={python}"


def test_binder_gets_what_everybody_gets_and_nothing_that_it_has_itself() -> None:
    own = {canonicalize_name(Requirement(each).name) for each in base_packages()}
    assert set(RUNTIME) - {"jupyterlab"} <= set(PINS)
    assert not (own - set(RUNTIME) | {"jupyterlab"}) & set(PINS)
    assert {name: version(pin) for name, pin in PINS.items()} == {name: version(ALL[name]) for name in PINS}


@pytest.mark.parametrize("name", sorted({**RUNTIME, **DEVELOPMENT}))
def test_the_lock_has_every_dependency_within_its_bounds(name: str) -> None:
    for declared in (RUNTIME, DEVELOPMENT):
        assert name not in declared or version(ALL[name]) in declared[name].specifier, "make lock"


def test_every_file_of_the_lock_is_known_by_its_hash() -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / "constraints-dev.txt").read_text().strip())
    assert [pin.splitlines()[0] for pin in pins if "--hash=sha256:" not in pin] == ["# Made by `make lock`."]


@pytest.mark.parametrize("name", sorted(name for name, pin in ALL.items() if not pin.marker or pin.marker.evaluate()))
def test_a_pin_is_what_the_tests_run_with(name: str) -> None:
    assert importlib.metadata.version(name) == version(ALL[name]), "make lock, or install by it: make test"


def test_every_bound_is_a_lower_one_that_make_can_try() -> None:
    """`make test-lowest` runs the tests with them; without one it would try the first release that there ever was."""
    for name, requirement in {**RUNTIME, **DEVELOPMENT}.items():
        assert any(each.operator in {">=", "~=", "=="} for each in requirement.specifier), name
