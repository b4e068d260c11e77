"""Only a test with a browser is tried again, only in CI, and the summary says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.command import clean_environment
from support.repository import ROOT

FAILS_ONCE = """
import pathlib
import pytest

{marks}
def test_it(request):
    path = pathlib.Path(__file__).with_suffix(".tried")
    was_tried = path.exists()
    path.touch()
    assert was_tried
"""


def run_pytest(*arguments: object, ci: str = "true") -> tuple[int, str]:
    """Run pytest on its own; return its status and what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)], cwd=ROOT, text=True,
        env=clean_environment(CI=ci, PYTHONPATH="tests"), capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def try_once(folder: Path, marks: str, *options: str, ci: str = "true") -> tuple[int, str]:
    """Run a test that fails the first time, with the configuration of ours."""
    file = folder / "test_once.py"
    file.write_text(FAILS_ONCE.format(marks=marks))
    return run_pytest("-c", "pyproject.toml", "-p", "conftest", *options, file, ci=ci)


def test_a_test_with_a_browser_is_tried_again_in_ci_and_that_is_said(tmp_path: Path) -> None:
    status, text = try_once(tmp_path, "@pytest.mark.browser")
    assert status == 0, text
    assert "1 passed, 1 rerun" in text
    assert "\nRERUN ::test_it" in text, "which one"


@pytest.mark.parametrize(("marks", "ci"), [("", "true"), ("@pytest.mark.slow", "true"), ("@pytest.mark.browser", "")])
def test_no_other_test_is_and_none_outside_of_ci(tmp_path: Path, marks: str, ci: str) -> None:
    status, text = try_once(tmp_path, marks, ci=ci)
    assert status == 1, text
    assert "1 failed in" in text


@pytest.mark.parametrize(("marks", "options"), [("@pytest.mark.flaky(reruns=2)", ()), ("", ("--reruns=2",))])
def test_nobody_can_have_another_test_tried_again(tmp_path: Path, marks: str, options: tuple[str, ...]) -> None:
    status, text = try_once(tmp_path, marks, *options)
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert "Only tests with a browser are tried again" in text


def test_every_test_in_the_folder_of_the_browser_is_marked() -> None:
    status, text = run_pytest("--collect-only", "-q", "tests/browser", "-m", "not browser")
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED, text
