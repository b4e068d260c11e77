"""Files to be transferred: from the user's disk into a bucket, and from a bucket to the user's disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.messages import Message, Sentence
from run_qarnot.core.names import check_key
from run_qarnot.model.paths import parents

LARGE_BYTES = 8 << 20  # files from this size on are sent in parts of this size, as by boto3 and the SDK
MOST_PARTS = 10_000  # S3's limit


@dataclass(frozen=True)
class Upload:
    """A local file and its path in the bucket."""

    path: Path
    key: str


@dataclass(frozen=True)
class StoredFile:
    """A file in a bucket; size in bytes, `etag` without quotes."""

    key: str
    size: int
    modified: datetime
    etag: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it only marks an empty folder, as written by some storage tools."""
        return self.key.endswith("/") and self.size == 0


@dataclass(frozen=True)
class StoredCopy:
    """A file and its bucket, to be copied or downloaded under its own key."""

    bucket: str
    file: StoredFile


LeaveOut = Callable[[str, Sentence], None]


def collect_inputs(paths: Sequence[Path], leave_out: LeaveOut = lambda _name, _problem: None) -> list[Upload]:
    """Find all files below `paths`. The content of a folder is added without its name, as by the SDK's `add_directory`.

    Each file is opened once, so that an unreadable one is reported before anything starts.

    Arguments:
        paths: files and folders.
        leave_out: called with the name of each entry of a folder that is not sent, and the reason: a broken link, a
            name that cannot be stored, a folder without any file.

    Raises:
        InputError: a path is missing or unreadable, a file has a name that cannot be stored, two files have one key,
            or a file has the key of another file's folder.
    """
    uploads: dict[str, Upload] = {}
    for path in paths:
        for upload in _files_of(path, leave_out):
            _check_readable(upload.path)
            if upload.key in uploads and uploads[upload.key].path.resolve() != upload.path.resolve():
                raise InputError("file-twice", name=upload.key)
            uploads[upload.key] = upload
    check_folders(uploads)
    return list(uploads.values())


def check_folders(added: Iterable[str], there: Iterable[str] = ()) -> None:
    """Check that no file has the key of another file's folder: the machine would silently lose one of them.

    Arguments:
        added: keys that will be added to a bucket.
        there: keys that are in it.

    Raises:
        InputError: one of `added` conflicts with another one or with a key of the bucket.
    """
    added = set(added)
    keys = added.union(there)
    for key in sorted(keys):
        for folder in parents(key):
            if folder in keys and not added.isdisjoint({key, folder}):
                raise InputError("file-and-folder", field="upload", name=folder, other=key)


def publish(partial: Path, target: Path) -> None:
    """Rename a complete file to its final name.

    Raises:
        InputError: a file of that name was created meanwhile.
    """
    try:
        os.link(partial, target)
    except FileExistsError as error:
        raise InputError("output-exists", path=target) from error
    except OSError:  # a file system without links
        if os.path.lexists(target):
            raise InputError("output-exists", path=target) from None
        partial.rename(target)
    else:
        partial.unlink()


def _files_of(path: Path, leave_out: LeaveOut) -> Iterator[Upload]:
    if path.is_file():
        yield Upload(path, check_key(path.name))
    elif path.is_dir():
        is_empty = True
        for upload in _walk(path, path, frozenset(), leave_out):
            is_empty = False
            yield upload
        if is_empty:
            leave_out(path.name or str(path), Message("no-file-inside"))
    else:
        raise InputError("file-missing", field="upload", path=path)


def _walk(folder: Path, top: Path, above: frozenset[Path], leave_out: LeaveOut) -> Iterator[Upload]:
    real = folder.resolve()
    if real in above:
        return  # a symbolic link to a parent folder
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError("file-unreadable", field="upload", path=folder, problem=reason_of(error)) from error
    for entry in entries:
        key = entry.relative_to(top).as_posix()
        if entry.is_dir():
            yield from _walk(entry, top, above | {real}, leave_out)
        elif entry.is_symlink() and not entry.exists():
            leave_out(key, Message("dangling-link"))
        else:
            try:
                yield Upload(entry, check_key(key))
            except InputError as error:
                leave_out(key, error.sentence)


def _check_readable(path: Path) -> None:
    try:
        if not path.is_file():
            raise InputError("file-unreadable", field="upload", path=path, problem=Message("not-regular"))
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError("file-unreadable", field="upload", path=path, problem=reason_of(error)) from error
