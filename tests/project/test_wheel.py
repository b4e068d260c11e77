"""The wheel is what people get: it is built, looked into, installed in an empty environment, and used."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from support import packages
from support.packages import Environment, build_wheel
from support.repository import PACKAGE, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone."""
    made = Environment.make(tmp_path_factory.mktemp("environment"))
    made.install(wheel)
    return made.folder


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program that finds nothing of this checkout."""
    return packages.run(*command, cwd=cwd, PYTHONPATH="")


def test_everything_that_is_needed_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    }
    assert any(name.endswith(".vue") for name in sources)
    assert sources <= names
    assert {"run_qarnot/packaged/images.toml", "run_qarnot/packaged/dashboard.ipynb"} <= names
    assert any("/licenses/LICENSE" in name for name in names)


def test_it_has_nothing_that_does_not_belong(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.split("-")[0] for top in tops} == {"run_qarnot", "qarnot_local"}


def test_it_lists_its_own_catalog_in_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    images = json.loads(run(environment / "bin" / "run-qarnot", "images", "--json", cwd=tmp_path))
    assert {"base", "scikit-learn", "tensorflow", "pytorch"} <= {image["id"] for image in images}


def test_it_is_the_wheel_that_is_used(environment: Path, tmp_path: Path) -> None:
    program = "import run_qarnot; print(run_qarnot.__file__)"
    assert Path(run(environment / "bin" / "python", "-c", program, cwd=tmp_path).strip()).is_relative_to(environment)


def test_voila_finds_the_template(environment: Path, tmp_path: Path) -> None:
    program = "from jupyter_core.paths import jupyter_path; print(*jupyter_path('voila', 'templates'), sep='\\n')"
    folders = run(environment / "bin" / "python", "-c", program, cwd=tmp_path).splitlines()
    found = [Path(folder) / "run-qarnot" for folder in folders if (Path(folder) / "run-qarnot").is_dir()]
    assert found == [environment / "share" / "jupyter" / "voila" / "templates" / "run-qarnot"]
    original = PACKAGE / "page" / "template"
    for path in original.rglob("*"):
        assert (found[0] / path.relative_to(original)).exists()


def test_jupyter_server_finds_the_extension(environment: Path) -> None:
    config = json.loads((environment / "etc/jupyter/jupyter_server_config.d/run_qarnot.json").read_text())
    assert all(config["ServerApp"]["jpserver_extensions"].values())
