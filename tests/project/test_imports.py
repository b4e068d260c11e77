"""What importing brings along: a page must paint before the heavy packages are loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.command import clean_environment
from support.repository import ROOT

HEAVY = {"asyncssh", "boto3", "botocore", "cryptography", "fastapi", "moto", "qarnot", "requests"}
OPEN_THE_PAGE = """
import asyncio, os, sys, tempfile
from run_qarnot.page.build import build
os.environ["RUN_QARNOT_DOWNLOADS"] = tempfile.gettempdir()  # as in a kernel of our server
async def main():
    print("shown:", len(build().environment.images), "images")
asyncio.run(main())
"""


def loaded_by(program: str) -> tuple[str, set[str]]:
    """Run a program; return what it says, and the packages that it has loaded in the end."""
    ending = "\nprint(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"import sys\n{program}{ending}"]
    run = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    *said, names = run.stdout.splitlines()
    return "\n".join(said), set(names.split())


@pytest.mark.parametrize("module", ["run_qarnot", "run_qarnot.page.build"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert not HEAVY & loaded_by(f"import {module}")[1]


def test_the_first_paint_loads_nothing_heavy() -> None:
    """The page as a visitor sees it first: our catalog with the shipped plugins, and no token yet."""
    said, names = loaded_by(OPEN_THE_PAGE)
    assert int(said.split()[1]) > 4
    assert not HEAVY & names


def test_public_names_are_there() -> None:
    import run_qarnot

    for name in run_qarnot.__all__:
        assert getattr(run_qarnot, name) is not None
    assert {"Image", "Option", "Settings", "hookimpl"} <= set(run_qarnot.__all__)
