"""Files on their way in and out."""

import os
import time
from itertools import product
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.core.errors import InputError
from run_qarnot.model.files import check_folders, collect_inputs, safe_paths


def test_of_a_folder_the_content_is_taken_and_a_file_keeps_its_name(tmp_path):
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("a")
    (tmp_path / "data/deep/b.txt").write_text("b")
    (tmp_path / "c.txt").write_text("c")
    uploads = collect_inputs([tmp_path / "data", tmp_path / "c.txt"])
    assert {upload.key for upload in uploads} == {"a.txt", "deep/b.txt", "c.txt"}


def test_a_missing_folder_is_said_and_empties_nothing(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        collect_inputs([tmp_path / "misspelt"])


def test_two_files_for_one_name_are_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text(folder)
    with pytest.raises(InputError, match=r"same\.txt"):
        collect_inputs([tmp_path / "one", tmp_path / "two"])


def test_a_file_where_another_needs_a_folder_is_refused(tmp_path):
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/b.txt").touch()
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match=r"“a” cannot be both a file and the folder of “a/b\.txt”"):
        collect_inputs([tmp_path / "a", tmp_path / "data"])
    with pytest.raises(InputError, match="both a file and the folder"):
        check_folders(["a/b/c"], there=["a/b"])
    check_folders(["new", "a/d"], there=["b", "b/c", "a/c"])


ODD_NAMES = ["back\\slash", "line\nfeed", " space", os.fsdecode(b"caf\xe9")]


def test_links_that_lead_nowhere_and_odd_names_are_left_out_and_named(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/kept.txt").touch()
    (folder / "deep/dangling").symlink_to(tmp_path / "nowhere")
    for name in ODD_NAMES:
        (folder / "deep" / name).touch()
    left_out = {}
    assert [upload.key for upload in collect_inputs([folder], left_out.__setitem__)] == ["deep/kept.txt"]
    assert set(left_out) == {"deep/dangling", *(f"deep/{name}" for name in ODD_NAMES)}
    assert left_out["deep/dangling"] == "it is a link that leads nowhere"
    assert "cannot be stored safely" in left_out["deep/ space"]
    with pytest.raises(InputError, match="stored safely"):
        collect_inputs([folder / "deep/ space"])
    with pytest.raises(InputError, match="no file or folder"):
        collect_inputs([folder / "deep/dangling"])


def test_an_empty_folder_is_named_and_empty_ones_inside_are_nothing(tmp_path):
    (tmp_path / "empty/inner").mkdir(parents=True)
    (tmp_path / "data/inner").mkdir(parents=True)
    (tmp_path / "data/a.txt").touch()
    left_out = {}
    uploads = collect_inputs([tmp_path / "empty", tmp_path / "data"], left_out.__setitem__)
    assert [upload.key for upload in uploads] == ["a.txt"]
    assert left_out == {"empty": "there is no file in it"}


def test_a_pipe_is_refused_before_anything_starts(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        collect_inputs([tmp_path])


def test_a_link_that_leads_back_up_ends(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [upload.key for upload in collect_inputs([tmp_path])] == ["a.txt"]


keys = st.lists(st.text(st.sampled_from("aAb./\\ :\0é~") | st.characters(), max_size=12), unique=True, max_size=12)


@given(keys)
def test_no_key_of_a_bucket_leads_outside_or_shares_a_path(keys):
    paths = safe_paths(keys)
    assert set(paths) == set(keys)
    folded = [normalize("NFC", path).casefold() for path in paths.values()]
    assert len(set(folded)) == len(folded)
    for path in folded:
        parts = PurePosixPath(path).parts
        assert not path.startswith("/")
        assert ".." not in parts
        assert "\0" not in path
        assert not {"/".join(parts[:count]) for count in range(1, len(parts))} & set(folded)


def test_ordinary_paths_stay_as_they_are_and_case_twins_part():
    assert safe_paths(["a/b.txt", "c.txt"]) == {"a/b.txt": "a/b.txt", "c.txt": "c.txt"}
    twins = safe_paths(["Data.csv", "data.csv"])
    assert twins["data.csv"] == "data (2).csv"
    assert safe_paths(["../../etc/passwd"])["../../etc/passwd"] == "_/_/etc/passwd"
    assert safe_paths(["con.txt"])["con.txt"] == "_con.txt"


@given(keys)
def test_safe_paths_can_really_be_written(keys):
    for path in safe_paths(keys).values():
        assert all(len(part.encode()) <= 255 for part in Path(path).parts)


def test_all_files_of_a_folder_whose_name_a_file_has_come_into_one_other_folder():
    paths = safe_paths(["a", "a/b", "a/c", "a/c/d", "a (2)"])
    assert list(paths.values()) == ["a", "a (2)/b", "a (2)/c", "a (2)/c (2)/d", "a (2) (2)"]


def test_names_that_one_system_or_the_other_takes_for_the_same_get_paths_of_their_own():
    composed, apart = "caf\u00e9", "cafe\u0301"
    for twins in [
        ("Data", "data"),
        (composed, apart),
        ("stra\u00dfe", "STRASSE"),
        ("a", "a."),
        ("a", "a "),
        ("x:", "x?"),
    ]:
        assert len({normalize("NFC", path).casefold() for path in safe_paths(twins).values()}) == 2, twins


@pytest.mark.parametrize(
    "key", ["con", "CON.txt", "con .txt", "lpt1", "COM\u00b9.log", "conin$", "a/aux/b", "nul .tar.gz", "prn."]
)
def test_no_part_of_a_path_is_a_name_that_windows_keeps(key):
    for part in safe_paths([key])[key].split("/"):
        assert part.split(".")[0].strip().lower() not in {"con", "lpt1", "com\u00b9", "conin$", "aux", "nul", "prn"}


def test_a_name_that_is_too_long_is_cut_and_keeps_its_extension(tmp_path):
    names = ["é" * 498 + ".csv", "é" * 498 + ".txt", "é" * 497 + "e.csv", "x" * 1000, "d/" * 499 + "é"]
    for key, path in safe_paths(names).items():
        assert Path(path).suffix == (Path(key).suffix if len(key) < 600 and "." in key else "")
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("fits")


def test_an_extension_cannot_be_hidden_by_turning_the_direction_of_writing():
    assert safe_paths(["photo\u202egpj.exe"])["photo\u202egpj.exe"] == "photo_gpj.exe"


def test_thousands_of_twins_are_told_apart_in_no_time():
    keys = ["".join(marks) for marks in product('?*<>|":', repeat=5)]
    started = time.perf_counter()
    assert len(set(safe_paths(keys).values())) == len(keys) == 7**5
    assert time.perf_counter() - started < 5
