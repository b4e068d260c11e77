"""Makes a release and tries it: `make release`. Nothing is published; what to type for that is printed at the end.

1. The version of `run_qarnot/__init__.py` has a heading in CHANGELOG.md and stands in CITATION.cff.
2. The wheel and the source are built, and `twine check --strict` accepts what the package index would show.
3. In an environment of its own for each supported Python of this machine, the wheel is installed and does its work.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
DIST = ROOT / "dist"


def main() -> None:
    version = _version()
    if problems := said_wrong(version, (ROOT / "CHANGELOG.md").read_text(), (ROOT / "CITATION.cff").read_text()):
        sys.exit("\n".join(problems))
    shutil.rmtree(DIST, ignore_errors=True)
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT))
    _run(sys.executable, "-m", "twine", "check", "--strict", *map(str, DIST.iterdir()))
    (wheel,) = DIST.glob("*.whl")
    found = [path for name in PYTHONS if (path := shutil.which(name))]
    for python in found:
        _try(python, wheel, version)
    missing = [name for name in PYTHONS if not shutil.which(name)]
    print(
        f"Made and tried with {len(found)} of {len(PYTHONS)} Pythons; not on this machine: {', '.join(missing) or '–'}."
    )
    print(f"To publish: git tag v{version} && git push --tags && python -m twine upload dist/*")


def said_wrong(version: str, changelog: str, citation: str) -> list[str]:
    """Return what has to be put right before a release of this version, a sentence each."""
    problems = []
    if not re.search(rf"^## {re.escape(version)}( |$)", changelog, re.MULTILINE):
        problems.append(f"CHANGELOG.md has no heading “## {version}”: rename “## Unreleased”.")
    if not re.search(rf"^version: {re.escape(version)}$", citation, re.MULTILINE):
        problems.append(f"CITATION.cff does not say “version: {version}”.")
    return problems


def _version() -> str:
    text = (ROOT / "run_qarnot" / "__init__.py").read_text()
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found is not None
    return found[1]


def _try(python: str, wheel: Path, version: str) -> None:
    """Install the wheel as a user does, and have it list its images and check its catalog, away from this folder."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _run(python, "-m", "venv", str(place / "venv"))
        own = place / "venv" / "bin" / "python"
        _run(str(own), "-m", "pip", "install", "--quiet", f"{wheel}[local]")
        for command in (["--version"], ["images", "--json"], ["check"]):
            out = _run(str(own), "-m", "run_qarnot", *command, cwd=place)
            assert command != ["--version"] or version in out, out
        _run(str(own), "-c", "import run_qarnot; [getattr(run_qarnot, name) for name in run_qarnot.__all__]", cwd=place)


def _run(*command: str, cwd: Path = ROOT) -> str:
    print(" ".join(command[:6]), flush=True)
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\nThis failed: {' '.join(command)}")
    return done.stdout


if __name__ == "__main__":
    main()
