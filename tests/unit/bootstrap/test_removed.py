"""What was removed in a run, and stays so; `run_qarnot.bootstrap.removed`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import wait_until

from run_qarnot.bootstrap import FILES, removed
from run_qarnot.bootstrap.removed import Watch, apply, files_in, names_in, read, record_of, remove, write

PROGRAM = FILES[".run-qarnot/removed.py"]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A `/job` beside a file that is not of it."""
    (tmp_path / "outside.txt").write_text("outside")
    folder = tmp_path / "job"
    (folder / ".run-qarnot").mkdir(parents=True)
    (folder / "logs").mkdir()
    return folder


def make(job: Path, *names: str) -> None:
    for name in names:
        (job / name).parent.mkdir(parents=True, exist_ok=True)
        (job / name).write_text(name)


def test_it_is_written_for_the_oldest_python_that_it_promises() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 8))


# — the record —


@given(st.sets(st.text()))
def test_a_record_is_read_as_it_was_written(names: set[str]) -> None:
    assert names_in(record_of(names)) == names


@given(st.binary(max_size=40) | st.sampled_from([b"[1]", b'{"removed": 1}', b'{"removed": {"a": 1}}', b"[" * 99_999]))
def test_a_damaged_record_names_nothing(text: bytes) -> None:
    assert names_in(text) == set()


def test_of_other_values_only_texts_are_names() -> None:
    assert names_in(json.dumps({"removed": ["a", 1, None, ["b"]]}).encode()) == {"a"}


# — applying it —


def test_what_is_on_the_record_goes_with_the_folders_that_it_leaves_empty(job: Path) -> None:
    make(job, "a.txt", "deep/er/b.txt", "half/c.txt", "half/d.txt", "kept.txt")
    write(job, ["a.txt", "deep/er/b.txt", "half/c.txt", "never-there.txt"])
    apply(job, job / "logs" / "qarnot.log")
    assert files_in(job) == {"half/d.txt", "kept.txt", "logs/qarnot.log"}
    assert not (job / "deep").exists()
    assert "3 file(s) that were removed in an earlier run do not come back" in (job / "logs/qarnot.log").read_text()
    assert read(job) == {"a.txt", "deep/er/b.txt", "half/c.txt", "never-there.txt"}, "it holds for the run after, too"


def test_without_a_record_nothing_is_said(job: Path) -> None:
    apply(job, job / "logs" / "qarnot.log")
    assert not (job / "logs/qarnot.log").exists()


@pytest.mark.parametrize(
    "name",
    [
        "../outside.txt",
        "a/../../outside.txt",
        "/",
        "",
        ".",
        "..",
        "link/outside.txt",
        ".run-qarnot/start.sh",
        "folder",
        "\0",
        "x" * 5000,
    ],
)
def test_whatever_a_record_names_nothing_else_is_removed(job: Path, name: str) -> None:
    make(job, ".run-qarnot/start.sh", "folder/in.txt")
    (job / "link").symlink_to(job.parent)
    assert remove(job, [name, str(job.parent / "outside.txt")]) == 0
    assert (job.parent / "outside.txt").read_text() == "outside"
    assert files_in(job) == {"folder/in.txt", "link"}
    assert (job / ".run-qarnot/start.sh").exists()


def test_a_link_is_removed_and_not_what_it_leads_to(job: Path) -> None:
    (job / "link.txt").symlink_to(job.parent / "outside.txt")
    assert remove(job, ["link.txt"]) == 1
    assert (job.parent / "outside.txt").exists()


# — keeping it —


def looks(watch: Watch, times: int = 2) -> None:
    for _ in range(times):
        watch.look()


def test_what_goes_is_recorded_once_it_is_missing_twice(job: Path) -> None:
    make(job, "given.txt", "folder/a", "folder/b", "kept.txt")
    watch = Watch(job, set())
    (job / "given.txt").unlink()
    watch.look()
    assert read(job) == set(), "perhaps it is being replaced"
    make(job, "made.txt")
    watch.look()
    assert read(job) == {"given.txt"}
    for name in ("made.txt", "folder/a", "folder/b"):
        (job / name).unlink()
    looks(watch)
    assert read(job) == {"given.txt", "made.txt", "folder/a", "folder/b"}


def test_what_is_there_again_is_off_the_record(job: Path) -> None:
    make(job, "kept.txt")
    write(job, ["old.txt", "older.txt"])
    watch = Watch(job, read(job))
    make(job, "old.txt")
    watch.look()
    assert read(job) == {"older.txt"}
    (job / "old.txt").unlink()
    looks(watch)
    assert read(job) == {"old.txt", "older.txt"}


def test_a_file_that_is_replaced_in_two_steps_is_never_on_the_record(job: Path) -> None:
    make(job, "notes.txt")
    watch = Watch(job, set())
    for _ in range(5):
        (job / "notes.txt").unlink()
        watch.look()
        make(job, "notes.txt")
        watch.look()
        assert not (job / ".run-qarnot/removed.json").exists()


def test_a_temporary_file_of_the_lists_of_packages_is_none_of_the_users(job: Path) -> None:
    for name in (*removed.TEMPORARY, "kept.new"):
        (job / name).touch()
    assert removed.files_in(job) == {"kept.new"}


def test_where_a_folder_cannot_be_read_nothing_is_concluded(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(job, "data/a.txt")
    watch, scandir = Watch(job, set()), os.scandir

    def broken(path: str) -> object:
        if path.endswith("data"):
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    looks(watch, 3)
    assert read(job) == set()
    monkeypatch.undo()
    looks(watch, 3)
    assert read(job) == set()


def test_a_job_that_is_gone_as_a_whole_was_not_removed_by_its_user(job: Path) -> None:
    make(job, "a.txt")
    watch = Watch(job, set())
    job.rename(job.with_name("elsewhere"))
    looks(watch)
    job.with_name("elsewhere").rename(job)
    assert read(job) == set()


def test_names_that_are_no_text_are_those_that_the_storage_has(job: Path) -> None:
    (job / os.fsdecode(b"caf\xe9.txt")).touch()
    assert files_in(job) == {"caf\ufffd.txt"}


def test_a_record_has_a_largest_size_and_keeps_what_the_run_began_with(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removed, "MOST_NAMES", 2)
    make(job, "z-given")
    watch = Watch(job, set())
    make(job, "a", "b", "c")
    watch.look()
    for name in ("a", "b", "c", "z-given"):
        (job / name).unlink()
    looks(watch)
    assert read(job) == {"a", "z-given"}


def test_with_too_many_files_it_gives_up(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(job, set())
    monkeypatch.setattr(removed, "MOST_FILES", 1)
    make(job, "a", "b")
    with pytest.raises(OverflowError):
        watch.look()


names = st.sampled_from(["a", "b", "d/c", "d/e"])
steps = st.lists(st.tuples(st.booleans(), names), max_size=6)


@given(st.lists(steps, min_size=1, max_size=4))
def test_after_any_number_of_runs_a_machine_has_what_the_last_one_had(runs: list[list[tuple[bool, str]]]) -> None:
    """The storage only ever grows; a run begins with all that is there, and with the record."""
    stored: set[str] = set()
    there: set[str] = set()
    record: set[str] = set()
    for run in runs:
        with tempfile.TemporaryDirectory() as folder:
            job = Path(folder)
            (job / ".run-qarnot").mkdir()
            make(job, *stored)
            write(job, record)
            apply(job, job / ".run-qarnot" / "log")
            assert files_in(job) == there
            watch = Watch(job, read(job))
            for makes, name in run:
                if makes:
                    make(job, name)
                else:
                    (job / name).unlink(missing_ok=True)
                watch.look()
                stored |= files_in(job)  # a save, at any moment
            watch.look()
            there, record = files_in(job), read(job)


# — the program —


def start(job: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), *arguments, "--job", str(job)]
    return subprocess.Popen(command, env={"PATH": os.environ["PATH"], **variables}, stdout=subprocess.PIPE)


def test_it_keeps_the_record_until_it_is_asked_to_end_and_looks_once_more(job: Path, tmp_path: Path) -> None:
    make(job, "first.txt", "last.txt")
    with start(job, "--ready", str(tmp_path / "ready")) as keeper:
        wait_until((tmp_path / "ready").exists, "the first look")
        make(job, "second.txt")
        (job / "first.txt").unlink()
        wait_until(lambda: read(job), "the record")
        (job / "last.txt").unlink()
        keeper.terminate()
        assert keeper.wait(10) == 0
    assert read(job) == {"first.txt", "last.txt"}


def test_it_ends_when_a_file_says_so_and_when_its_parent_has_ended(job: Path, tmp_path: Path) -> None:
    with start(job, "--end", str(tmp_path / "end")) as keeper:
        (tmp_path / "end").touch()
        assert keeper.wait(10) == 0
    command = [sys.executable, str(PROGRAM), "--job", str(job), "--ready", str(tmp_path / "ready")]
    code = f"import subprocess, sys; print(subprocess.Popen({command}, stdout=2).pid, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        wait_until((tmp_path / "ready").exists, "the first look")
        assert parent.stdout is not None
        orphan = psutil.Process(int(parent.stdout.readline()))
        parent.communicate(timeout=10)
    orphan.wait(10)


def test_where_the_files_cannot_be_listed_it_says_so_and_ends(tmp_path: Path) -> None:
    with start(tmp_path / "nowhere") as keeper:
        printed = keeper.communicate(timeout=10)[0].decode()
    assert keeper.returncode == 0
    assert "the files cannot be listed (No such file or directory)" in printed


def test_of_several_machines_only_the_first_keeps_the_record(job: Path) -> None:
    make(job, "a.txt", "b.txt")
    write(job, ["a.txt"])
    with start(job, INSTANCE_ID="1") as keeper:
        assert keeper.wait(10) == 0
    assert files_in(job) == {"b.txt", "logs/qarnot.log"}
