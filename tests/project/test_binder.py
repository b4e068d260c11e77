"""The folder `binder/`, as far as it can be tried without Binder."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.repository import ROOT

BINDER = ROOT / "binder"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = {requirement.name: requirement for requirement in map(Requirement, PROJECT["dependencies"])}
PINS = {
    requirement.name: requirement
    for line in (BINDER / "constraints.txt").read_text().splitlines()
    if (text := line.partition("#")[0].strip())
    for requirement in [Requirement(text)]
}


def test_it_installs_this_project_with_the_pins() -> None:
    assert (BINDER / "requirements.txt").read_text().split() == ["-c", "constraints.txt", "."]
    python = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert PROJECT["requires-python"] == f">={python}"


def test_every_dependency_is_pinned_and_nothing_that_binder_brings() -> None:
    assert set(PINS) == {*NEEDED, "ipyvue"}  # ipyvue: the message guard of the page is made for its inside


@pytest.mark.parametrize("name", sorted(PINS))
def test_a_pin_is_what_the_tests_run_with(name: str) -> None:
    version = importlib.metadata.version(name)
    assert str(PINS[name].specifier) == f"=={version}", "change binder/constraints.txt, or install by it: make test"
    assert name not in NEEDED or NEEDED[name].specifier.contains(version)


def test_the_limit_for_uploads_is_set_where_it_works() -> None:
    config = json.loads((BINDER / "jupyter_server_config.json").read_text())
    assert config["ServerApp"]["tornado_settings"]["websocket_max_message_size"] == 128 * 2**20


def test_post_build_can_run_twice_and_leaves_both_files(tmp_path: Path) -> None:
    home = tmp_path / "home of jovyan"
    for name in ("binder", "run_qarnot"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for _ in range(2):
        run = subprocess.run(
            ["./binder/postBuild"],
            cwd=home, env={"HOME": str(home), "REPO_DIR": str(home), "PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
    for name in ("jupyter_server_config.json", "voila.py"):
        assert (home / ".jupyter" / name).read_bytes() == (BINDER / name).read_bytes()


def test_voila_sets_the_cookie_that_a_closing_page_needs() -> None:
    from traitlets.config.loader import PyFileConfigLoader

    class Handler:
        def __init__(self) -> None:
            self.cookies: list[str] = []

        @property
        def xsrf_token(self) -> str:
            self.cookies.append("_xsrf")
            return "token"

    handler = Handler()
    PyFileConfigLoader("voila.py", path=str(BINDER)).load_config().VoilaConfiguration.prelaunch_hook(handler)
    assert handler.cookies == ["_xsrf"]
