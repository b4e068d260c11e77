"""A task's folder: what comes in, what goes out, and what of it qarnot_local.s3.disk keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qarnot_local.access import Access
from qarnot_local.control.faults import Faults
from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.runtime.tasks import SnapshotConfig, Task
from qarnot_local.runtime.workspace import Filters, MissingBucketError, Workspace, safe_path
from qarnot_local.s3.storage import ObjectStorage


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ObjectStorage]:
    (tmp_path / "work").mkdir()
    storage = ObjectStorage(Access("me", "token"), Faults(), Quotas(), tmp_path / "work", tmp_path / "kept")
    storage.start()
    yield storage
    storage.stop()


def put(storage: ObjectStorage, bucket: str, key: str, text: str, folder: Path) -> None:
    (folder / "file").write_text(text)
    storage.make_bucket(bucket)
    storage.write(bucket, key, folder / "file")


def task(**given: object) -> Task:
    return Task(TaskDefinition.model_validate(given))


@pytest.mark.parametrize(("key", "path"), [("a/b", "a/b"), ("/a", "a"), ("../a", None), ("a/../b", None), ("/", None)])
def test_no_key_leads_out_of_the_folder(key: str, path: str | None) -> None:
    assert safe_path(key) == path


def test_resources_come_and_only_what_changed_goes_back(storage: ObjectStorage, tmp_path: Path) -> None:
    put(storage, "input", "data/a.txt", "a", tmp_path)
    put(storage, "input", "data/b.txt", "b", tmp_path)
    put(storage, "input", "../evil", "x", tmp_path)
    space = Workspace(tmp_path / "run", storage)
    space.make()
    strip = {"stripPrefix": {"prefix": "data/"}}
    assert space.fetch(task(advancedResourceBuckets=[{"bucketName": "input", "resourcesTransformation": strip}])) == [
        "../evil"
    ]
    assert sorted(file.name for file in space.job.iterdir()) == ["a.txt", "b.txt"]
    (space.job / "b.txt").write_text("changed")
    (space.job / "new.log").write_text("new")
    assert space.upload(Filters(blacklist=r"\.log$"), "output", "p/") == {"p/b.txt"}
    assert space.upload(Filters(), "output", "p/") == {"p/new.log"}
    assert [(each.key, each.size) for each in storage.objects("output")] == [("p/b.txt", 7), ("p/new.log", 3)]
    with pytest.raises(MissingBucketError):
        space.fetch(task(resourceBuckets=["gone"]))


def test_filters_of_a_request_win_over_those_of_the_task() -> None:
    own = task(snapshotWhitelist="${EXT}$", constants=[{"key": "EXT", "value": "png"}])
    assert Filters.of(own, "snapshot") == Filters("png$", "")
    assert Filters.of(own, "snapshot", SnapshotConfig("b", "", whitelist="")) == Filters("", "")


def test_objects_on_disk_are_there_after_a_restart(storage: ObjectStorage, tmp_path: Path) -> None:
    put(storage, "input", "a", "content", tmp_path)
    (tmp_path / "again").mkdir()
    again = ObjectStorage(Access("me", "token"), Faults(), Quotas(), tmp_path / "again", tmp_path / "kept")
    try:
        again.start()
        (stored,) = again.objects("input")
        assert again.read(stored, tmp_path / "copy")
        assert (tmp_path / "copy").read_text() == "content"
    finally:
        again.stop()
