"""What importing brings along: a page must paint before the heavy packages are loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.repository import ROOT

HEAVY = {"boto3", "botocore", "qarnot", "moto", "fastapi"}


@pytest.mark.parametrize("module", ["run_qarnot", "run_qarnot.page.app"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not HEAVY & set(run.stdout.split())


def test_public_names_are_there() -> None:
    import run_qarnot

    for name in run_qarnot.__all__:
        assert getattr(run_qarnot, name) is not None
    assert {"Image", "Option", "Settings", "hookimpl"} <= set(run_qarnot.__all__)
