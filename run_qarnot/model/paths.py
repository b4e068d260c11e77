"""Keys of a bucket, which anyone may have chosen, as paths on a disk or in a zip.

A file keeps its name wherever that can be: what the target cannot hold is replaced, and nothing else. Nothing leads
outside, no two keys share a path, and no file stands where a folder must be.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Self
from unicodedata import normalize

# Names that Windows keeps for devices, also with an extension or spaces behind them.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³])\s*(\..*)?")
# Control characters, what Windows does not take, and what turns the direction of writing to hide an extension.
_UNPORTABLE = re.compile('[\x00-\x1f\x7f-\x9f<>:"|?*\\\\\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]')
_NEVER_IN_ZIP = re.compile(r"[\x00\\]")  # APPNOTE.TXT 4.4.17: slashes are forward slashes; readers stop at a NUL
_ORDINARY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(?<!\.)")
_LONGEST_PORTABLE = 200  # bytes of a part; file systems take 255, and names may get a number
_LONGEST_IN_ZIP = 255
_LONGEST_NUMBERED = 240
_LONGEST_SUFFIX = 20  # bytes of an extension that a name keeps when it is cut

Part = Callable[[str], str]  # from a part of a key to the name of a file or folder


def local_paths(keys: Iterable[str], folder: Path) -> dict[str, str]:
    """Map keys to relative paths that the file system below `folder` can hold.

    What it can hold is found out by trying: Windows, macOS, network and USB drives all have rules of their own.

    Arguments:
        keys: of a bucket.
        folder: need not exist yet.
    """
    try:
        with _FileSystem.of(folder) as files:
            return _arranged(keys, files.part, _same if files.tells_twins_apart() else _folded)
    except OSError:  # nothing can be written there
        return _arranged(keys, _portable, _folded)


def zip_paths(keys: Iterable[str]) -> dict[str, str]:
    """Map keys to the names that their files have in a zip."""
    return _arranged(keys, _zip_part, _same)


def renamed(paths: Mapping[str, str]) -> dict[str, str]:
    """Return those of the keys that got another path."""
    return {key: path for key, path in paths.items() if key != path}


def parents(path: str) -> list[str]:
    """Return the folders above a path, the highest first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _arranged(keys: Iterable[str], as_part: Part, fold: Part) -> dict[str, str]:
    wanted, places = {key: _path(key, as_part) for key in keys}, _Places(fold)
    own_first = sorted(wanted, key=lambda key: wanted[key] != key)  # nobody loses a name to one that has to change
    taken = {key: places.take(wanted[key]) for key in own_first}
    return {key: taken[key] for key in wanted}


def _path(key: str, as_part: Part) -> str:
    return "/".join(as_part(part) for part in key.split("/") if part not in {"", "."}) or "_"


# — what a file system can hold —


class _FileSystem:
    """Tries names in a temporary folder."""

    def __init__(self, trial: Path) -> None:
        self._trial = trial
        self._known: dict[str, bool] = {}

    @classmethod
    @contextlib.contextmanager
    def of(cls, folder: Path) -> Iterator[Self]:
        """Try names on the file system of a folder. Raises OSError if nothing can be written there."""
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
        with tempfile.TemporaryDirectory(prefix=".run-qarnot-", dir=nearest) as trial:
            yield cls(Path(trial))

    def part(self, part: str) -> str:
        """Return the name that a part of a key gets."""
        if _ORDINARY.fullmatch(part) and not _RESERVED.fullmatch(part):
            return part
        if part not in self._known:
            self._known[part] = self._holds(part)
        return part if self._known[part] else _portable(part)

    def _holds(self, part: str) -> bool:
        path = self._trial / part
        try:
            path.touch(exist_ok=False)
            holds = path in self._trial.iterdir()  # else the file has got another name
            path.unlink()
        except (OSError, ValueError):
            return False
        return holds

    def tells_twins_apart(self) -> bool:
        """Whether names that differ in case, or in how an accent is composed, are different files."""
        name = "a\u00e9"
        path = self._trial / name
        path.touch()
        twins = [self._trial / twin for twin in (name.upper(), normalize("NFD", name))]
        apart = not any(twin.exists() for twin in twins)
        path.unlink()
        return apart


# — names in other forms —


def _portable(part: str) -> str:
    """Return the nearest name that any system takes."""
    part = _UNPORTABLE.sub("_", _utf8(part))
    part = _cut(part, _LONGEST_PORTABLE).rstrip(" .") or "_"
    return f"_{part}" if _RESERVED.fullmatch(part) else part


def _zip_part(part: str) -> str:
    return "_" if part == ".." else _cut(_NEVER_IN_ZIP.sub("_", _utf8(part)), _LONGEST_IN_ZIP)


def _utf8(part: str) -> str:
    return part.encode("utf-8", "replace").decode()


def _cut(part: str, longest: int) -> str:
    """Shorten a name to so many bytes; it keeps its extension."""
    if len(part.encode()) <= longest:
        return part
    suffix = PurePosixPath(part).suffix.encode()
    suffix = suffix if len(suffix) <= _LONGEST_SUFFIX else b""
    stem = part.encode()[: longest - len(suffix)].decode(errors="ignore")
    return stem + suffix.decode()


def _same(path: str) -> str:
    return path


def _folded(path: str) -> str:
    """Return what the least exact file system makes of a path: it ignores case, and how accents are composed."""
    return normalize("NFC", normalize("NFC", path).casefold())


class _Places:
    """The paths that are taken. `fold` gives equal results for paths that the target takes for the same."""

    def __init__(self, fold: Part) -> None:
        self._fold = fold
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._other_folders: dict[str, str] = {}  # in place of those whose name a file has
        self._numbers: dict[str, int] = {}  # the last that a path got: thousands of twins must not be tried one by one

    def take(self, path: str) -> str:
        """Return `path`, or the nearest that is free, and take it."""
        free = self._free(path)
        self._files.add(self._fold(free))
        self._folders.update(parents(self._fold(free)))
        return free

    def _free(self, path: str) -> str:
        blocked = next((folder for folder in parents(path) if self._fold(folder) in self._files), None)
        if blocked is not None:  # the folder's name is a file's: another folder is needed, the same for all in it
            other = self._other_folders.setdefault(self._fold(blocked), self._numbered(blocked))
            return self._free(other + path[len(blocked) :])
        return self._numbered(path) if self._is_taken(path) else path

    def _numbered(self, path: str) -> str:
        """Return the path with the first number behind its name that no file has."""
        folder, slash, name = path.rpartition("/")
        pure, number = PurePosixPath(_cut(name, _LONGEST_NUMBERED)), self._numbers.get(self._fold(path), 1)
        candidate = path
        while self._is_taken(candidate):
            number += 1
            candidate = f"{folder}{slash}{pure.stem} ({number}){pure.suffix}"
        self._numbers[self._fold(path)] = number
        return candidate

    def _is_taken(self, path: str) -> bool:
        return self._fold(path) in self._files or self._fold(path) in self._folders
