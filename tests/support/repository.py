"""The files of the repository, as tests of the project see them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "run_qarnot"
LOCAL_CLUSTER = ROOT / "qarnot_local"


def repository_files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield every file that is not ignored. The tests need neither git nor its history."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if not line.startswith("#")]
    for path in sorted(folder.iterdir()):
        if path.name == ".git" or any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from repository_files(path)
        else:
            yield path


def module_name(path: Path) -> str:
    """Return the dotted name of a module, such as `run_qarnot.core.names`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
