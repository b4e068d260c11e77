"""Files on their way in and out."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.errors import InputError
from run_qarnot.files import collect_inputs, safe_paths


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


def test_a_broken_link_and_a_pipe_are_refused_before_anything_starts(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="dangling"):
        collect_inputs([tmp_path])
    (tmp_path / "dangling").unlink()
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
    folded = [path.lower() for path in paths.values()]
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
