"""`requirements.txt`: the user's text and our block, in all the forms that people write and edit them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run_qarnot.bootstrap import FILES
from run_qarnot.bootstrap.packages import (
    BEGIN,
    END,
    Baseline,
    Installed,
    block_of,
    digest_of,
    is_option,
    join,
    logical_lines,
    name_in,
    read,
    split,
    write,
)

pytestmark = pytest.mark.slow

PROGRAM = FILES[".run-qarnot/packages.py"]
JOB = Path("/job")
DIGEST = "0123abcd"
BLOCK = ["black[jupyter]==25.1", "-e ./mine  # mine", "thing @ git+https://e.org/thing@abc#subdirectory=python"]

# Pieces of which files are made: the hard ones, and any text.
PIECES = [
    "numpy",
    "\n",
    "\r\n",
    "\r",
    "\\",
    "\\\n",
    "#",
    " ",
    "\ufeff",
    "é",
    "\x85",
    "\u2028",
    "\x0c",
    "==1.0",
    "--pre",
    END,
]
own_texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join)
packages = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["1", "2"]))


def test_it_is_written_for_the_oldest_python_that_it_promises() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 8))


# — the file —


@given(own_texts, st.lists(st.sampled_from(BLOCK), unique=True))
def test_what_is_put_together_comes_apart_as_it_was(own: str, block: list[str]) -> None:
    text = join(own, block, DIGEST)
    assert text.startswith(own)
    assert split(text) == (own, block, DIGEST if block else "")


@settings(deadline=None)  # files
@given(st.binary(max_size=80), st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]))
def test_every_byte_survives(tmp_path_factory: pytest.TempPathFactory, raw: bytes, mark: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "requirements.txt"
    file.write_bytes(mark + raw)
    try:
        text = read(file)
    except UnicodeDecodeError:
        return  # half a character at the end: such a file is left alone
    write(file, text._replace(text=join(text.text, BLOCK, DIGEST)))
    assert file.read_bytes().startswith(mark + raw)
    again = read(file)
    write(file, again._replace(text=join(split(again.text).own, [], "")))
    assert file.read_bytes() == mark + raw


@given(own_texts, st.lists(st.tuples(packages, st.booleans()), min_size=1, max_size=5))
def test_the_users_text_survives_any_number_of_sessions(own: str, sessions: list[tuple[dict[str, str], bool]]) -> None:
    """Each session begins with what the file of the last one brings back, and ends with these packages."""
    text, image = own, {"a": package("a", "1", asked=True)}
    for there, has_failed in sessions:
        parts = split(text)
        missing = {name_in(line): line for line in parts.block if has_failed}
        carried = [name_in(line) for line in parts.block if not has_failed]
        lines = {name: each.line(JOB) for name, each in image.items() if name not in carried}
        installed = {name: package(name, version) for name, version in there.items()}
        block = block_of(installed, Baseline(list(image), lines, missing, carried), JOB, parts.block)
        text = join(parts.own, block, digest_of(parts.own))
        assert split(text).own == own
        wanted = {name: each.line(JOB) for name, each in installed.items() if each.line(JOB) != lines.get(name)}
        kept = {name: line for name, line in missing.items() if name not in wanted and name not in installed}
        assert {name_in(line): line for line in block} == {**kept, **wanted} or missing


def test_what_the_user_writes_into_our_block_or_below_it_is_kept_and_becomes_hers() -> None:
    text = join("numpy\n", ["moo==1.0"], DIGEST)
    edited = text.replace("moo==1.0\n", "moo==1.0\n# mine\npandas>=2 \\\n    --hash=sha256:00\n") + "-r other.txt"
    parts = split(edited)
    assert parts.block == ["moo==1.0"]
    assert parts.own == "numpy\n# mine\npandas>=2 \\\n    --hash=sha256:00\n\n-r other.txt"
    assert join(*parts).endswith(f"\n{END}\n"), "the block is at the end again"
    assert split(join(*parts)) == parts


def test_what_is_not_ascii_survives_in_our_block_too() -> None:
    line = "# voilà".encode().decode("latin-1")  # its last byte looks like a space
    text = join("numpy\n", ["moo==1.0"], DIGEST).replace("moo==1.0", f"moo==1.0\n{line}")
    assert split(text).own == f"numpy\n{line}\n"


def test_an_editor_that_changes_the_ends_of_lines_changes_nothing_else() -> None:
    text = join("numpy\npandas\n", ["moo==1.0"], DIGEST).replace("\n", "\r\n")
    assert split(text) == ("numpy\r\npandas\r\n", ["moo==1.0"], DIGEST)


def test_the_files_of_two_sessions_put_one_behind_the_other_have_one_block() -> None:
    text = join("numpy\n", ["a==1", "b==1"], DIGEST) + join("pandas\n", ["b==2"], "00000000")
    assert split(text) == ("numpy\n\npandas\n", ["a==1", "b==2"], "00000000")


@pytest.mark.parametrize("half", [f"{BEGIN}\nnumpy\n", f"numpy\n{END}\n", f"{BEGIN}\n{BEGIN}\nnumpy"])
def test_half_a_block_is_the_users_text(half: str) -> None:
    assert split(half).own == half
    assert split(join(half, ["moo==1.0"], DIGEST)) == (half, ["moo==1.0"], DIGEST)


def test_what_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes(b"\xff\xfen")  # half a character of UTF-16
    with pytest.raises(UnicodeDecodeError):
        read(file)


def test_a_link_stays_a_link_and_the_rights_of_a_file_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "requirements.txt"
    real.write_text("numpy\n")
    real.chmod(0o640)
    link.symlink_to(real)
    text = read(link)
    assert write(link, text._replace(text="numpy\nmoo\n"), text)
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, "numpy\nmoo\n", 0o640)


def test_a_file_that_the_user_saves_at_this_moment_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    before = read(file)
    file.write_text("what the user wrote\n")
    assert not write(file, before._replace(text="ours"), before)
    assert file.read_text() == "what the user wrote\n"
    assert [each.name for each in tmp_path.iterdir()] == ["requirements.txt"]


# — what belongs into the block —


def package(name: str, version: str = "1", needs: str = "", *, asked: bool = True, **direct: object) -> Installed:
    return Installed(name, version, direct, asked, needs.splitlines())


def lines_of(*installed: Installed, before: tuple[str, ...] = (), **baseline: object) -> list[str]:
    base = Baseline([], {}, {}, [])._replace(**baseline)  # type: ignore[arg-type]
    return block_of({each.name: each for each in installed}, base, JOB, before)


def test_only_what_was_asked_for_and_is_not_of_the_image_or_of_the_user() -> None:
    assert lines_of(package("b"), package("a"), package("came-along", asked=False)) == ["a==1", "b==1"]
    assert lines_of(package("a"), package("b", "2"), lines={"a": "a==1", "b": "b==1"}) == ["b==2"]


def test_what_the_block_brought_back_stays_in_it_and_follows() -> None:
    assert lines_of(package("a", "2", asked=False), before=("a==1",), carried=["a"]) == ["a==2"]
    assert lines_of(before=("a==1",), carried=["a"]) == [], "uninstalled"


def test_what_did_not_come_back_stays_until_something_is_done_about_it() -> None:
    missing = {"a": "a==9"}
    assert lines_of(before=("a==9",), missing=missing) == ["a==9"]
    assert lines_of(package("a"), before=("a==9",), missing=missing, lines={"a": "a==1"}) == ["a==9"], "the image's"
    assert lines_of(package("a", "2"), before=("a==9",), missing=missing, lines={"a": "a==1"}) == ["a==2"]
    assert lines_of(before=(), missing=missing) == [], "the user took it out"


def test_the_extras_are_found_again_by_what_they_brought() -> None:
    black = package("black", "25.1", "click\nipython>=7; extra == 'jupyter'\ntool; extra == 'dev'")
    along = package("click", asked=False), package("ipython", asked=False)
    assert lines_of(black, *along) == ["black[jupyter]==25.1"]
    assert lines_of(black, *along, image=["ipython"]) == ["black==25.1"]
    assert lines_of(black, *along, package("lab", "1", "ipython", asked=False)) == ["black==25.1"]
    assert lines_of(black, along[0], package("ipython")) == ["black==25.1", "ipython==1"]


@pytest.mark.parametrize(
    ("direct", "line"),
    [
        ({"url": "https://e.org/x.whl", "archive_info": {}}, "x @ https://e.org/x.whl"),
        ({"url": "https://e.org/x y.zip", "subdirectory": "a"}, "x @ https://e.org/x%20y.zip#subdirectory=a"),
        (
            {"url": "https://e.org/r", "vcs_info": {"vcs": "git", "commit_id": "abc"}, "subdirectory": "python"},
            "x @ git+https://e.org/r@abc#subdirectory=python",
        ),
        ({"url": "file:///conda/feedstock/work", "dir_info": {}}, "x==1"),
    ],
)
def test_where_a_package_came_from(direct: dict[str, Any], line: str) -> None:
    assert package("x", **direct).line(JOB) == line
    assert name_in(line) == "x"


@pytest.mark.parametrize("name", ["mine", "my folder", "ünder"])
@pytest.mark.parametrize("editable", [True, False])
def test_a_folder_below_the_file_is_named_from_there(tmp_path: Path, name: str, editable: bool) -> None:
    folder = tmp_path / name
    folder.mkdir()
    line = package("x", url=folder.as_uri(), dir_info={"editable": editable}).line(tmp_path)
    place = "./mine" if name == "mine" else folder.as_uri()
    assert line == f"{'-e ' if editable else ''}{place}  # x"
    assert name_in(line) == "x"


# — lines, where pip refuses the whole —


def test_comments_and_continued_lines() -> None:
    text = "# all\\\nnumpy==1 \\\n    --hash=sha256:00\n\nthing @ https://e.org/#egg=thing # mine\nlast \\\n# no\nend\\"
    assert logical_lines(text) == [
        "numpy==1      --hash=sha256:00",
        "thing @ https://e.org/#egg=thing",
        "last",
        "end",
    ]
    assert logical_lines("\ufeffnumpy\r\n") == logical_lines("ï»¿numpy\r\n") == ["numpy"]


@pytest.mark.parametrize("line", ["--pre", "-i https://e.org", "-c other.txt", "--require-hashes", "--requires-x"])
def test_options(line: str) -> None:
    assert is_option(line)


@pytest.mark.parametrize("line", ["-r a.txt", "-ra.txt", "--requirement=a", "-e .", "-e.", "--editable ./x", "numpy"])
def test_requirements(line: str) -> None:
    assert not is_option(line)


def test_the_lists_are_written_and_no_more_where_the_signal_came_too_early_to_be_heard(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "end").touch()
    places: list[str | Path] = ["--job", tmp_path, "--state", tmp_path, "--log", tmp_path / "logs" / "qarnot.log"]
    line: list[str | Path] = [sys.executable, PROGRAM, "keep", *map(str, places)]
    assert subprocess.run(line, check=False, timeout=20).returncode == 0
    assert (tmp_path / "requirements.txt").exists()
