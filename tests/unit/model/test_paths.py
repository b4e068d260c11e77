"""Names that anyone may have chosen, on a disk and in a zip."""

import io
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.model import paths
from run_qarnot.model.paths import local_paths, renamed, zip_paths

texts = st.text(st.sampled_from("aAb./\\ :\0\1é~\n") | st.characters(), max_size=12)
keys = st.lists(texts, unique=True, max_size=12)

Arrange = Callable[[Sequence[str]], dict[str, str]]


def portable_paths(keys: Sequence[str]) -> dict[str, str]:
    """As for the least able file system."""
    return paths._arranged(keys, paths._portable, paths._folded)


def on_this_disk(keys: Sequence[str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        return local_paths(keys, Path(folder))


def can_be_written(key: str) -> bool:
    """Whether this disk can hold a file of this very name."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, key).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, key).touch(exist_ok=False)
        except (OSError, ValueError):
            return False
        return [os.path.relpath(path, folder) for path in Path(folder).rglob("*") if path.is_file()] == [key]


@pytest.mark.parametrize("arrange", [on_this_disk, zip_paths, portable_paths])
@given(keys=keys)
def test_no_key_of_a_bucket_leads_outside_or_shares_a_path(arrange: Arrange, keys: list[str]) -> None:
    arranged = arrange(keys)
    assert set(arranged) == set(keys)
    assert len(set(arranged.values())) == len(arranged)
    for path in arranged.values():
        parts = PurePosixPath(path).parts
        assert "/".join(parts) == path
        assert not path.startswith("/")
        assert ".." not in parts
        assert "\0" not in path
        assert not {"/".join(parts[:count]) for count in range(1, len(parts))} & set(arranged.values())


@given(keys)
def test_all_files_can_be_written_side_by_side(keys: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arranged = local_paths(keys, Path(folder))
        assert list(Path(folder).iterdir()) == [], "what was tried is gone"
        for path in arranged.values():
            Path(folder, path).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, path).touch(exist_ok=False)
        found = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}
        assert found == set(arranged.values())


@given(texts)
def test_a_file_keeps_its_name_if_this_disk_can_hold_it(key: str) -> None:
    if can_be_written(key):
        assert on_this_disk([key]) == {key: key}


@given(keys)
def test_the_names_of_a_zip_are_the_keys_as_far_as_a_zip_can_hold_them(keys: list[str]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in zip_paths(keys).values():
            archive.writestr(zipfile.ZipInfo(path), b"")
    assert zipfile.ZipFile(content).namelist() == list(zip_paths(keys).values())
    if not any(other.startswith(f"{key}/") for key in keys for other in keys):
        for key in renamed(zip_paths(keys)):
            marks = {"\0", "\\"}.intersection(key)
            assert {"", ".", ".."}.intersection(key.split("/")) or marks or paths._utf8(key) != key


@pytest.mark.parametrize(
    "key", ["a:b.csv", "col\x01.log", "line\nend", 'a?*<>|"', "con", "nul.txt", "a.", " a ", "é" * 120]
)
def test_what_only_windows_does_not_take_is_kept(key: str) -> None:
    assert on_this_disk([key]) == zip_paths([key]) == {key: key}
    assert portable_paths([key])[key] != key or key.startswith("é")


def test_a_backslash_is_kept_on_a_disk_and_is_no_folder_in_a_zip() -> None:
    assert on_this_disk(["back\\slash.txt"]) == {"back\\slash.txt": "back\\slash.txt"}
    assert zip_paths(["back\\slash.txt", "back_slash.txt"]) == {
        "back\\slash.txt": "back_slash (2).txt",
        "back_slash.txt": "back_slash.txt",
    }


def test_what_no_system_can_hold_is_renamed_and_said() -> None:
    names = ["a/b.txt", "../../etc/passwd", "nul\0.txt", "/top", "a//c", "x/./y"]
    wanted = ["a/b.txt", "_/_/etc/passwd", "nul_.txt", "top", "a/c", "x/y"]
    for arrange in (on_this_disk, zip_paths):
        assert list(arrange(names).values()) == wanted
        assert renamed(arrange(names)) == dict(zip(names[1:], wanted[1:], strict=True))


def test_where_nothing_can_be_written_names_are_those_for_any_system() -> None:
    assert local_paths(["a:b", "a"], Path("/proc/none")) == {"a:b": "a_b", "a": "a"}


def test_a_folder_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    assert local_paths(["a:b"], tmp_path / "new/folder") == {"a:b": "a:b"}
    assert list(tmp_path.iterdir()) == []


def test_ordinary_paths_stay_as_they_are_and_case_twins_part_where_they_must() -> None:
    assert portable_paths(["a/b.txt", "c.txt"]) == {"a/b.txt": "a/b.txt", "c.txt": "c.txt"}
    assert portable_paths(["Data.csv", "data.csv"])["data.csv"] == "data (2).csv"
    assert zip_paths(["Data.csv", "data.csv"])["data.csv"] == "data.csv"
    assert portable_paths(["con.txt"])["con.txt"] == "_con.txt"


@pytest.mark.parametrize("arrange", [on_this_disk, zip_paths, portable_paths])
def test_all_files_of_a_folder_whose_name_a_file_has_come_into_one_other_folder(arrange: Arrange) -> None:
    arranged = arrange(["a", "a/b", "a/c", "a/c/d", "a (2)"])
    assert list(arranged.values()) == ["a", "a (2)/b", "a (2)/c", "a (2)/c (2)/d", "a (2) (2)"]


def test_names_that_one_system_or_the_other_takes_for_the_same_get_paths_of_their_own() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    for twins in [
        ("Data", "data"),
        (composed, apart),
        ("stra\u00dfe", "STRASSE"),
        ("a", "a."),
        ("a", "a "),
        ("x:", "x?"),
    ]:
        assert len({normalize("NFC", path).casefold() for path in portable_paths(twins).values()}) == 2, twins


@pytest.mark.parametrize(
    "key", ["con", "CON.txt", "con .txt", "lpt1", "COM\u00b9.log", "conin$", "a/aux/b", "nul .tar.gz", "prn."]
)
def test_no_part_of_a_portable_path_is_a_name_that_windows_keeps(key: str) -> None:
    for part in portable_paths([key])[key].split("/"):
        assert part.split(".")[0].strip().lower() not in {"con", "lpt1", "com\u00b9", "conin$", "aux", "nul", "prn"}


@pytest.mark.parametrize("arrange", [on_this_disk, zip_paths, portable_paths])
def test_a_name_that_is_too_long_is_cut_and_keeps_its_extension(arrange: Arrange, tmp_path: Path) -> None:
    names = ["é" * 498 + ".csv", "é" * 498 + ".txt", "é" * 497 + "e.csv", "x" * 1000, "d/" * 499 + "é"]
    names += ["x" * 255, "x" * 255 + "/" + "y" * 255, "z" * 254 + "\0", "z" * 254 + "_"]
    for key, path in arrange(names).items():
        assert Path(path).suffix == (Path(key).suffix if len(key) < 600 and "." in key else "")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("fits")


def test_an_extension_cannot_be_hidden_by_turning_the_direction_of_writing_where_any_system_may_read_it() -> None:
    assert portable_paths(["photo\u202egpj.exe"])["photo\u202egpj.exe"] == "photo_gpj.exe"


@pytest.mark.parametrize("arrange", [on_this_disk, zip_paths, portable_paths])
def test_thousands_of_twins_are_told_apart_in_no_time(arrange: Arrange) -> None:
    keys = ["".join(marks) for marks in product('?*<>|":', repeat=5)]
    started = time.process_time()
    assert len(set(arrange(keys).values())) == len(keys) == 7**5
    assert time.process_time() - started < 5
