"""The folders of a task: downloads resources, uploads files that were created or changed (§3.3)."""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.images import programs
from qarnot_local.runtime.tasks import Snapshot, SnapshotConfig, Task
from qarnot_local.s3.storage import ObjectStorage, StoredObject

_Mark = tuple[int, int, int]  # what changes when a file does: inode, size, modification time


@dataclass(frozen=True)
class Filters:
    """Which files are uploaded, by regular expressions *searched* in their path; empty means no filter."""

    whitelist: str = ""
    blacklist: str = ""

    @classmethod
    def of(cls, task: Task, kind: str, given: SnapshotConfig | None = None) -> Filters:
        """The task's own (`kind` is `results` or `snapshot`), or those of a snapshot request, which beat them."""
        own, texts = task.definition, []
        for name in ("whitelist", "blacklist"):
            text: str | None = getattr(given, name, None)
            texts.append(expand(getattr(own, f"{kind}_{name}") if text is None else text, task.constants))
        return cls(*texts)

    def admit(self, path: str) -> bool:
        if self.whitelist and not re.search(self.whitelist, path):
            return False
        return not (self.blacklist and re.search(self.blacklist, path))


class MissingBucketError(Exception):
    """A bucket of the task's resources was deleted since the task was submitted."""


class Workspace:
    """`/job` and the home of one task. All methods block on disk or storage: call them in a thread."""

    def __init__(self, folder: Path, storage: ObjectStorage) -> None:
        self.folder = folder
        self.job = folder / "job"
        self.home = folder / "home"
        self._storage = storage
        self._fetched: dict[str, StoredObject] = {}
        self._untouched: dict[str, _Mark] = {}
        self._uploaded: dict[tuple[str, str, str], _Mark] = {}
        self._lock = threading.Lock()  # one transfer at a time: snapshot, refresh or final upload

    def make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True)
        self.job.mkdir()
        (self.home / "tmp").mkdir(parents=True)
        programs.install(self.home)

    def remove(self) -> None:
        """After the transfers that are under way."""
        with self._lock:
            shutil.rmtree(self.folder, ignore_errors=True)

    def fetch(self, task: Task) -> list[str]:
        """Download the resources, or, later, those that are new or changed. Returns the keys that had to be skipped."""
        with self._lock:
            wanted, skipped = self._plan(task)
            # What is deleted in the storage stays here; made there again, it is new.
            self._fetched = {path: stored for path, stored in self._fetched.items() if path in wanted}
            for path, stored in wanted.items():
                if self._fetched.get(path) == stored:
                    continue
                try:
                    self._place(path, stored)
                except OSError:  # such as keys `a` and `a/b`: a file and a folder of one name
                    skipped.append(stored.key)
            return skipped

    def _plan(self, task: Task) -> tuple[dict[str, StoredObject], list[str]]:
        wanted: dict[str, StoredObject] = {}
        skipped = []
        for bucket in task.resources:
            name = bucket.bucket_name
            if not self._storage.has_bucket(name):
                raise MissingBucketError(f"No such bucket: {name}")
            for stored in self._storage.objects(name, bucket.prefix):
                rest = stored.key.removeprefix(bucket.stripped)
                path = safe_path(rest)
                if stored.key.endswith("/") and not rest.strip("/"):
                    continue  # the mark of the folder that became /job itself
                if path is None:
                    skipped.append(stored.key)
                else:
                    wanted[path] = stored  # the last bucket wins
        return wanted, skipped

    def _place(self, path: str, stored: StoredObject) -> None:
        target = self.job / path
        if stored.key.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(self.job.resolve()):
            raise OSError(f"{path} leads out of the job folder")  # through a link that the task itself made
        part = target.with_name(f".{target.name[:100]}.part")
        if not self._storage.read(stored, part):
            return
        part.replace(target)
        self._fetched[path] = stored
        self._untouched[path] = _mark(target.stat())

    def changes(self, filters: Filters, bucket: str, prefix: str) -> list[tuple[str, Path, _Mark]]:
        """The files to upload: created or changed by the task, and since the last upload to the same place."""
        return [
            (path, file, mark)
            for path, file, mark in self._files()
            if self._untouched.get(path) != mark
            and self._uploaded.get((bucket, prefix, path)) != mark
            and filters.admit(path)
        ]

    def upload(self, filters: Filters, bucket: str, prefix: str, progress: Snapshot | None = None) -> set[str]:
        """Upload what changed; returns the keys. The sizes are added to those of `progress` meanwhile."""
        with self._lock:
            self._storage.make_bucket(bucket)
            todo = self.changes(filters, bucket, prefix)
            if progress:
                progress.size += sum(mark[1] for _, _, mark in todo)
            keys = set()
            for path, file, mark in todo:
                try:
                    size = self._storage.write(bucket, prefix + path, file)
                except OSError:
                    continue  # deleted or unreadable since it was listed
                if progress:
                    progress.transferred += size
                self._uploaded[bucket, prefix, path] = mark
                keys.add(prefix + path)
            return keys

    def _files(self) -> Iterator[tuple[str, Path, _Mark]]:
        root = self.job.resolve()
        for folder, _, names in os.walk(self.job):
            for name in names:
                file = Path(folder, name)
                try:
                    about = file.stat()
                    inside = not file.is_symlink() or file.resolve().is_relative_to(root)
                except OSError:
                    continue
                if stat.S_ISREG(about.st_mode) and inside:  # no pipes, no links to the rest of this machine
                    yield _key(file.relative_to(self.job)), file, _mark(about)


def safe_path(key: str) -> str | None:
    """The place of a key below `/job`, or None when it would be outside of it or has no name."""
    parts = [part for part in PurePosixPath(key).parts if part != "/"]
    if not parts or ".." in parts or "\0" in key:
        return None
    return "/".join(parts)


def _key(path: Path) -> str:
    """A key is UTF-8, the name of a file may be anything: what is no character would spoil every list that has it."""
    return os.fsencode(path).decode("utf-8", "replace")


def _mark(about: os.stat_result) -> _Mark:
    return about.st_ino, about.st_size, about.st_mtime_ns
