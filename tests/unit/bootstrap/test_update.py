"""A repository in a session is brought up to date, and nothing that was changed there is lost: with real git."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.git_server import commit, git, make_repository

from run_qarnot.bootstrap import update
from run_qarnot.bootstrap.update import STARTED, Folder, UpdateError, brought


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return make_repository(
        tmp_path / "theirs", {"notebook.ipynb": "1\n2\n3\n4\n5\n", "data.csv": "a\n", "old.txt": "x\n"}
    )


@pytest.fixture
def ours(tmp_path: Path, theirs: Path) -> Path:
    """As it comes along: one commit without history, and a ref of ours."""
    job = tmp_path / "job"
    job.mkdir()
    git(job, "clone", "--quiet", "--depth", "1", f"file://{theirs}", "project")
    git(job / "project", "update-ref", STARTED, "HEAD")
    return job / "project"


def test_what_was_not_changed_here_is_updated(theirs: Path, ours: Path) -> None:
    commit(theirs, {"data.csv": "b\n", "new/file.txt": "new"})
    (theirs / "old.txt").unlink()
    commit(theirs, {})
    said = Folder(ours).update()
    assert said == "3 file(s) updated"
    assert (ours / "data.csv").read_text() == "b\n"
    assert (ours / "new" / "file.txt").read_text() == "new"
    assert not (ours / "old.txt").exists()
    assert Folder(ours).update() == "0 file(s) updated"


def test_what_was_changed_here_wins_where_both_changed_the_same_lines(theirs: Path, ours: Path) -> None:
    (ours / "notebook.ipynb").write_text("mine\n2\n3\n4\n5\n")
    commit(theirs, {"notebook.ipynb": "theirs\n2\n3\n4\nfive\n"})
    assert "1 kept as they were changed here" in Folder(ours).update()
    assert (ours / "notebook.ipynb").read_text() == "mine\n2\n3\n4\nfive\n"


def test_what_was_removed_there_and_changed_here_stays(theirs: Path, ours: Path) -> None:
    (ours / "old.txt").write_text("mine\n")
    (theirs / "old.txt").unlink()
    commit(theirs, {"data.csv": "b\n"})
    Folder(ours).update()
    assert (ours / "old.txt").read_text() == "mine\n"
    assert (ours / "data.csv").read_text() == "b\n"
    assert git(ours, "status", "--short") == ""


def test_what_was_deleted_here_comes_back_as_it_is_there_now(theirs: Path, ours: Path) -> None:
    (ours / "data.csv").unlink()
    commit(theirs, {"data.csv": "b\n"})
    assert "1 restored" in Folder(ours).update()
    assert (ours / "data.csv").read_text() == "b\n"


def test_commits_that_were_made_here_stay(theirs: Path, ours: Path) -> None:
    own = commit(ours, {"own.txt": "own"})
    commit(theirs, {"data.csv": "b\n"})
    Folder(ours).update()
    assert (ours / "own.txt").read_text() == "own"
    assert own in git(ours, "log", "--format=%H")
    assert (ours / "data.csv").read_text() == "b\n"


def test_a_file_of_the_session_that_is_in_the_way_gets_another_name(theirs: Path, ours: Path) -> None:
    (ours / "result.txt").write_text("mine")
    (ours / "folder").write_text("mine too")
    commit(theirs, {"result.txt": "theirs", "folder/file.txt": "theirs"})
    said = Folder(ours).update()
    assert (ours / "result.txt").read_text() == "theirs"
    assert (ours / "folder" / "file.txt").read_text() == "theirs"
    assert sorted(path.read_text() for path in (*ours.glob("result-*.txt"), *ours.glob("folder-*"))) == [
        "mine",
        "mine too",
    ]
    assert "moved aside" in said


def test_files_that_are_none_of_the_repository_are_left_alone(theirs: Path, ours: Path) -> None:
    (ours / "output").mkdir()
    (ours / "output" / "model.bin").write_text("mine")
    commit(theirs, {"data.csv": "b\n"})
    Folder(ours).update()
    assert (ours / "output" / "model.bin").read_text() == "mine"
    assert "output" in git(ours, "status", "--short")


def test_a_history_that_was_written_anew_changes_nothing(tmp_path: Path, theirs: Path, ours: Path) -> None:
    shutil.rmtree(theirs)
    make_repository(theirs, {"data.csv": "other"})
    (ours / "data.csv").write_text("mine")
    with pytest.raises(UpdateError, match="written anew"):
        Folder(ours).update()
    assert (ours / "data.csv").read_text() == "mine"
    assert git(ours, "log", "--format=%s").strip() == "of the test"


def test_a_fixed_version_stays(ours: Path) -> None:
    git(ours, "checkout", "--quiet", "--detach")
    with pytest.raises(UpdateError, match="a tag or a commit"):
        Folder(ours).update()


def test_the_program_updates_what_came_along_and_says_it(theirs: Path, ours: Path) -> None:
    job = ours.parent
    make_repository(job / "of-the-user", {"x": "x"})
    (job / ".run-qarnot").mkdir()
    shutil.copy(update.__file__, job / ".run-qarnot")
    assert list(brought(job)) == [ours]
    commit(theirs, {"data.csv": "b\n"})
    command = [sys.executable, str(job / ".run-qarnot" / "update.py")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Run Qarnot: project: 1 file(s) updated.\n"), done.stderr
    for now, run, then in ("0", "one", "0"), ("1", "one", "0"), ("2", "two", "2"):
        commit(theirs, {"data.csv": now})
        subprocess.run([*command, "--once", run], stdin=subprocess.DEVNULL, check=True)
        assert (ours / "data.csv").read_text() == then, "a preempted run goes on with what it had"
    shutil.rmtree(theirs)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("Run Qarnot: project stays as it is: ")
    assert done.stdout.count("\n") == 1
