"""Files on their way: from the user's disk into a bucket, and from a bucket onto the user's disk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from run_qarnot.errors import InputError
from run_qarnot.names import check_key

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # names that Windows keeps for devices
_LONGEST_PART = 200  # bytes; file systems take 255, and names may get a number


@dataclass(frozen=True)
class Upload:
    """A local file and its path in the bucket."""

    path: Path
    key: str


@dataclass(frozen=True)
class StoredFile:
    """A file in a bucket; size in bytes."""

    key: str
    size: int
    modified: datetime


def collect_inputs(paths: Sequence[Path]) -> list[Upload]:
    """Find all files below `paths`. Of a folder, the content is taken, as the SDK's `add_directory` does.

    Everything is opened once, so that what cannot be read is known before anything is started.

    Raises:
        InputError: a path that is missing or cannot be read, an unsafe name, or two files for one name.
    """
    uploads: dict[str, Upload] = {}
    for path in paths:
        for upload in _files_of(path):
            _check_readable(upload.path)
            if upload.key in uploads and uploads[upload.key].path.resolve() != upload.path.resolve():
                raise InputError("file-twice", name=upload.key)
            uploads[upload.key] = upload
    return list(uploads.values())


def safe_paths(keys: Iterable[str]) -> dict[str, str]:
    """Map keys of a bucket, which anyone may have chosen, to relative paths that are safe to write on any system.

    Nothing leads outside the folder, no two keys share a path (not on file systems that ignore case either), and no
    file stands where a folder must be.
    """
    paths: dict[str, str] = {}
    files: set[str] = set()
    folders: set[str] = set()
    for key in keys:
        path = _free_path(_safe_path(key), files, folders)
        files.add(path.lower())
        folders.update(_parents(path.lower()))
        paths[key] = path
    return paths


def _files_of(path: Path) -> Iterator[Upload]:
    if path.is_file():
        yield Upload(path, check_key(path.name))
    elif path.is_dir():
        yield from _walk(path, path, frozenset())
    else:
        raise InputError("file-missing", field="upload", path=path)


def _walk(folder: Path, top: Path, above: frozenset[Path]) -> Iterator[Upload]:
    real = folder.resolve()
    if real in above:
        return  # a link that leads back up
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError("file-unreadable", field="upload", path=folder, problem=error.strerror) from error
    for entry in entries:
        if entry.is_dir():
            yield from _walk(entry, top, above | {real})
        else:
            yield Upload(entry, check_key(entry.relative_to(top).as_posix()))


def _check_readable(path: Path) -> None:
    try:
        if not path.is_file():
            raise InputError("file-unreadable", field="upload", path=path, problem="it is not a regular file")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError("file-unreadable", field="upload", path=path, problem=error.strerror) from error


def _safe_path(key: str) -> str:
    parts = [_safe_part(part) for part in re.split(r"[/\\]", key) if part not in {"", "."}]
    return "/".join(parts) or "_"


def _safe_part(part: str) -> str:
    part = re.sub(r'[\x00-\x1f\x7f<>:"|?*]', "_", part.encode("utf-8", "replace").decode())
    part = part.encode()[:_LONGEST_PART].decode(errors="ignore").rstrip(" .") or "_"
    return f"_{part}" if _RESERVED.fullmatch(part) else part


def _free_path(path: str, files: set[str], folders: set[str]) -> str:
    pure = PurePosixPath(path)
    candidate, number = path, 1
    while _is_taken(candidate.lower(), files, folders):
        number += 1
        candidate = str(pure.with_name(f"{pure.stem} ({number}){pure.suffix}"))
        if _parents(path.lower()) & files:  # the folder's name is a file's: another folder is needed
            first, _, rest = path.partition("/")
            candidate = f"{first} ({number})/{rest}"
    return candidate


def _is_taken(path: str, files: set[str], folders: set[str]) -> bool:
    return path in files or path in folders or bool(_parents(path) & files)


def _parents(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:count]) for count in range(1, len(parts))}
