"""Files on their way in and out."""

import os
from pathlib import Path

import pytest

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Sentence
from run_qarnot.model.files import check_folders, collect_inputs


def test_of_a_folder_the_content_is_taken_and_a_file_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("a")
    (tmp_path / "data/deep/b.txt").write_text("b")
    (tmp_path / "c.txt").write_text("c")
    uploads = collect_inputs([tmp_path / "data", tmp_path / "c.txt"])
    assert {upload.key for upload in uploads} == {"a.txt", "deep/b.txt", "c.txt"}


def test_a_missing_folder_is_said_and_empties_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file or folder"):
        collect_inputs([tmp_path / "misspelt"])


def test_two_files_for_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text(folder)
    with pytest.raises(InputError, match=r"same\.txt"):
        collect_inputs([tmp_path / "one", tmp_path / "two"])


def test_a_file_where_another_needs_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/b.txt").touch()
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match=r"“a” cannot be both a file and the folder of “a/b\.txt”"):
        collect_inputs([tmp_path / "a", tmp_path / "data"])
    with pytest.raises(InputError, match="both a file and the folder"):
        check_folders(["a/b/c"], there=["a/b"])
    check_folders(["new", "a/d"], there=["b", "b/c", "a/c"])


ODD_NAMES = ["back\\slash", "line\nfeed", " space", os.fsdecode(b"caf\xe9")]


def test_links_that_lead_nowhere_and_odd_names_are_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/kept.txt").touch()
    (folder / "deep/dangling").symlink_to(tmp_path / "nowhere")
    for name in ODD_NAMES:
        (folder / "deep" / name).touch()
    left_out: dict[str, Sentence] = {}
    assert [upload.key for upload in collect_inputs([folder], left_out.__setitem__)] == ["deep/kept.txt"]
    assert set(left_out) == {"deep/dangling", *(f"deep/{name}" for name in ODD_NAMES)}
    assert str(left_out["deep/dangling"]) == "it is a broken link"
    assert "cannot be stored safely" in str(left_out["deep/ space"])
    with pytest.raises(InputError, match="stored safely"):
        collect_inputs([folder / "deep/ space"])
    with pytest.raises(InputError, match="no file or folder"):
        collect_inputs([folder / "deep/dangling"])


def test_an_empty_folder_is_named_and_empty_ones_inside_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty/inner").mkdir(parents=True)
    (tmp_path / "data/inner").mkdir(parents=True)
    (tmp_path / "data/a.txt").touch()
    left_out: dict[str, Sentence] = {}
    uploads = collect_inputs([tmp_path / "empty", tmp_path / "data"], left_out.__setitem__)
    assert [upload.key for upload in uploads] == ["a.txt"]
    assert {name: str(problem) for name, problem in left_out.items()} == {"empty": "there is no file in it"}


def test_a_pipe_is_refused_before_anything_starts(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        collect_inputs([tmp_path])


def test_a_link_that_leads_back_up_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [upload.key for upload in collect_inputs([tmp_path])] == ["a.txt"]
