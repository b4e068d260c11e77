"""Nothing in the repository belongs to one machine, to one run, or is too big for it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.repository import ROOT, repository_files

MOST_BYTES = 600_000
# Folders of somebody's own machine; not Binder's, nor those of examples, such as /home/me.
OF_ONE_MACHINE = re.compile(r"(?<![\w.])/(?:work/(?:main|shared|scratch)|root/|Users/\w|home/(?!jovyan)\w{3,})")
FILES = list(repository_files())


def test_no_file_is_too_big() -> None:
    assert [path for path in FILES if path.stat().st_size > MOST_BYTES] == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [str(path.relative_to(ROOT)) for path in FILES if path != Path(__file__) and _names_a_machine(path)]
    assert found == []


def _names_a_machine(path: Path) -> bool:
    try:
        return OF_ONE_MACHINE.search(path.read_text(encoding="utf-8")) is not None
    except UnicodeDecodeError:
        return False  # a picture


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".ipynb"], ids=lambda path: path.name)
def test_notebooks_hold_no_outputs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("name", [".ci/run", "binder/postBuild"])
def test_programs_may_be_run(name: str) -> None:
    assert (ROOT / name).stat().st_mode & 0o111
