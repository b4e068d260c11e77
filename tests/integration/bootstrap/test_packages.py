"""The lists of packages, in all the forms that people write them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from run_qarnot.bootstrap import FILES
from run_qarnot.bootstrap.packages import Installed, Requirement, merge, parse, read, read_requirements, write

pytestmark = pytest.mark.slow

PROGRAM = FILES[".run-qarnot/packages.py"]


def installed(*lines: str) -> dict[str, Installed]:
    found = {}
    for line in lines:
        name, _, version = line.partition("==")
        found[name] = Installed(name, version, line, asked=True)
    return found


def test_it_is_written_for_the_oldest_python_that_it_promises() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("line", "name", "exact"),
    [
        ("numpy", "numpy", None),
        ("Some_Package.x==1.0", "some-package-x", "1.0"),
        ("numpy == 1.26.4 ; python_version > '3'", "numpy", "1.26.4"),
        ("numpy>=1,==1.*", "numpy", None),
        ("black[jupyter]==24.1", "black", "24.1"),
        ("thing @ git+https://example.org/thing@abc", "thing", None),
        ("-r other.txt", None, None),
        ("--extra-index-url https://example.org/simple", None, None),
        ("-e ./package", None, None),
        ("./a.whl", None, None),
        ("wheels/a.whl", None, None),
        ("https://example.org/a.whl", None, None),
    ],
)
def test_a_line(line: str, name: str | None, exact: str | None) -> None:
    assert parse(line) == Requirement(line, name, exact)


def test_comments_and_continued_lines() -> None:
    text = "# all\nnumpy==1 \\\n    --hash=sha256:00\n\nthing @ https://example.org/#egg=thing # mine\n"
    lines = [requirement.line for requirement in read_requirements(text)]
    assert lines == ["numpy==1      --hash=sha256:00", "thing @ https://example.org/#egg=thing"]


def test_what_the_user_wrote_stays() -> None:
    text = "# mine\n--pre\nnumpy>=1  # not too old\n-r other.txt\n\nmissing==3\n"
    assert merge(text, installed("numpy==2.0"), {}, {"numpy"}) == text


def test_what_was_installed_since_is_added_once_and_sorted() -> None:
    new = installed("b==1", "A==2", "numpy==2.0")
    assert merge("numpy>=1\nnumpy>=1\n", new, new, set()) == "numpy>=1\nA==2\nb==1\n"


def test_a_pinned_version_follows_and_keeps_what_is_around_it() -> None:
    new = installed("black==25.1")
    assert merge("black[jupyter] == 24.1; python_version>'3' # why\n", new, new, set()) == (
        "black[jupyter] ==25.1; python_version>'3' # why\n"
    )


def test_what_was_there_and_is_no_more_goes_and_what_never_came_stays() -> None:
    assert merge("gone==1\nnever-came==1\n", {}, {}, {"gone"}) == "never-came==1\n"


def test_a_package_from_an_address_comes_back_from_there() -> None:
    new = {"thing": Installed("thing", "2", "thing @ git+https://example.org/thing@abc", asked=True)}
    assert merge("thing==1\n", new, new, set()) == "thing @ git+https://example.org/thing@abc\n"


def test_a_list_of_powershell_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("numpy==1\r\n".encode("utf-16"))
    assert [each.name for each in read_requirements(read(file))] == ["numpy"]
    file.write_bytes(b"# caf\xe9\nnumpy==1\n")
    write(file, merge(read(file), {}, {}, set()))
    assert file.read_bytes() == b"# caf\xe9\nnumpy==1\n"


def test_the_lists_are_written_and_no_more_where_the_signal_came_too_early_to_be_heard(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "end").touch()
    places = ["--job", tmp_path, "--state", tmp_path, "--log", tmp_path / "logs" / "qarnot.log"]
    line = [sys.executable, PROGRAM, "keep", *places]
    assert subprocess.run(line, check=False, timeout=20).returncode == 0
    assert (tmp_path / "requirements.txt").exists()
