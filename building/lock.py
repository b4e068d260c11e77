"""Writes the versions that everybody gets: `make lock`. Those of before stay where they fit; `--upgrade` drops them.

- `constraints-dev.txt`: all that is needed to use, test and build the project, on every system, with hashes.
- `binder/constraints.txt`: of that what Binder's own environment has not. Without hashes: pip checks either all that it
  installs or nothing, and this project, which is installed with them, is a folder.

Run it with `tests` on Python's path: what Binder has is known there.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from support.binder import base_packages

ROOT = Path(__file__).parents[1]
ALL = "constraints-dev.txt"
BINDER = "binder/constraints.txt"
_HEAD = "# Made by `make lock`.\n"


def main(arguments: list[str]) -> None:
    _resolve(ALL, "--universal", "--generate-hashes", "--extra", "dev", *arguments)
    _write(ALL, (ROOT / ALL).read_text())
    _resolve(BINDER, "--python-platform", "linux", "--constraint", ALL, "--upgrade")
    pins = [line for line in (ROOT / BINDER).read_text().splitlines() if line and not line.startswith("#")]
    brought = {canonicalize_name(Requirement(each).name) for each in base_packages()} - _direct()
    kept = [pin for pin in pins if canonicalize_name(Requirement(pin).name) not in brought]
    _write(BINDER, "\n".join(kept) + "\n")


def _resolve(file: str, *options: str) -> None:
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.11"]
    command += ["--extra", "local", *options, "--output-file", file, "pyproject.toml"]
    subprocess.run([Path(sys.executable).parent / command[0], *command[1:]], cwd=ROOT, check=True)


def _write(file: str, pins: str) -> None:
    (ROOT / file).write_text(_HEAD + pins)


def _direct() -> set[NormalizedName]:
    """What the project itself needs at run time, but JupyterLab: that is Binder's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    return {canonicalize_name(Requirement(each).name) for each in needed} - {"jupyterlab"}


if __name__ == "__main__":
    main(sys.argv[1:])
