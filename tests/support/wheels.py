"""Small packages, made here: pip is real, the network is not needed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path


def make_wheel(
    folder: Path, name: str, version: str = "1.0", files: Mapping[str, str] | None = None, needs: str = ""
) -> None:
    """Make the wheel of a package with these files, or with one module that knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for path, source in (files or {f"{module}.py": f"version = {version!r}\n"}).items():
            wheel.writestr(path, source)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (needs and f"Requires-Dist: {needs}\n")
        wheel.writestr(f"{info}/METADATA", f"{head}\nVersion: of the text below\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
