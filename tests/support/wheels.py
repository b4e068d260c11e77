"""Small packages, made here: pip is real, the network is not needed."""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from qarnot_local import LocalCluster


@contextlib.contextmanager
def cluster_with(wheels: Path) -> Iterator[LocalCluster]:
    """A cluster whose tasks find these wheels and no others: their pip sees the cluster's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        patch.setenv("PIP_NO_INDEX", "1")
        with LocalCluster() as cluster:
            yield cluster


def make_wheel(
    folder: Path, name: str, version: str = "1.0", files: Mapping[str, str] | None = None, needs: str = ""
) -> Path:
    """Make the wheel of a package with these files, or with one module that knows its version; returns the wheel.

    Arguments:
        needs: other packages, one a line.
    """
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    place = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as wheel:
        for path, source in (files or {f"{module}.py": f"version = {version!r}\n"}).items():
            wheel.writestr(path, source)
        extras = re.findall(r"extra == '(\w+)'", needs)
        fields = [*(f"Requires-Dist: {need}" for need in needs.splitlines()), *(f"Provides-Extra: {e}" for e in extras)]
        head = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *fields, ""])
        wheel.writestr(f"{info}/METADATA", f"{head}\nVersion: of the text below\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return place


BACKEND = '''"""A build backend that needs no package: pip runs it to install a folder, editable or not."""

import zipfile

NAME, VERSION = "mine", "1.0"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return _build(wheel_directory, "mine.py", open("mine.py").read())


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    import os

    return _build(wheel_directory, "mine.pth", os.getcwd() + "\\n")


def _build(folder, name, text):
    info = f"{NAME}-{VERSION}.dist-info"
    with zipfile.ZipFile(f"{folder}/{NAME}-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(name, text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\\nName: {NAME}\\nVersion: {VERSION}\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{NAME}-{VERSION}-py3-none-any.whl"
'''


def make_project(folder: Path) -> Path:
    """Make a folder that pip can install, as package `mine`."""
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("version = 'of the folder'\n")
    (folder / "backend.py").write_text(BACKEND)
    table = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(table)
    return folder
