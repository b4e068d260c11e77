"""`new-plugin` writes what works: what it writes is run here, and a package is installed as a user installs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.command import CommandLine, clean_environment
from support.packages import Environment, build_wheel, run
from support.repository import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, clean_environment())


def test_a_file_with_a_test_that_passes(cli: CommandLine) -> None:
    written = cli("new-plugin", "our_things").out.split()
    assert written == ["plugins/our_things.py", "plugins/tests/test_our_things.py"]
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", written[1], cwd=cli.folder)
    assert "our-things" in {image["id"] for image in cli("images", "--json").json}
    run(sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", written[0], cwd=cli.folder)
    run(sys.executable, "-m", "ruff", "format", "--check", "--line-length=120", *written, cwd=cli.folder)


def test_nothing_is_overwritten(cli: CommandLine) -> None:
    cli("new-plugin", "ours")
    (cli.folder / "plugins" / "ours.py").write_text("# mine\n")
    assert "already exists" in cli("new-plugin", "ours", expect=1).err
    assert (cli.folder / "plugins" / "ours.py").read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["Ours", "our-things", "1st", "../x", "class", "tests", ""])
def test_a_name_that_is_no_module(cli: CommandLine, name: str) -> None:
    answer = cli("new-plugin", name, expect=1)
    assert "cannot be called" in answer.err
    assert not list(cli.folder.iterdir())


def test_a_package_built_as_a_wheel_and_installed_elsewhere(cli: CommandLine, tmp_path: Path) -> None:
    """A third party's package, in an environment of its own: its image is in the catalog, and its own test passes."""
    cli("new-plugin", "third_party", "--package")
    project = cli.folder / "third-party"
    environment = Environment.make(tmp_path / "environment")
    environment.install(build_wheel(project, tmp_path / "dist"))
    python = environment.python
    images = json.loads(run(python, "-m", "run_qarnot", "images", "--json", cwd=tmp_path))
    assert [image["source"] for image in images if image["id"] == "third-party"] == ["third-party"]
    rows = json.loads(run(python, "-m", "run_qarnot", "plugins", "--json", cwd=tmp_path))
    (row,) = [row for row in rows if row["name"] == "third-party"]
    assert (row["where"], row["version"], row["hooks"]) == ("package", "0.1.0", ["rq_images", "rq_prepare"])
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", project / "tests", cwd=tmp_path)


def test_an_installed_plugin_that_cannot_be_loaded_costs_one_row(tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "environment")
    python, info = environment.python, environment.packages / "broken_plugin-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[run_qarnot]\nbroken = nothing_of_that_name\n")
    rows = json.loads(run(python, "-m", "run_qarnot", "plugins", "--json", cwd=tmp_path))
    (row,) = [row for row in rows if row["name"] == "broken"]
    assert (row["version"], [problem["code"] for problem in row["problems"]]) == ("2.0", ["plugin-load"])
    assert sum(row["images"] for row in rows) >= 7
