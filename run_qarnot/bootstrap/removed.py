"""What is removed in a run does not come back in the next: applies a record of removed files, and keeps it.

The platform fills `/job` with the inputs and with all that earlier runs saved, and a save removes nothing from the
storage. So this program removes once more, before the app starts, what the record names, and brings the record up to
date until SIGTERM or the end of its parent. The record is saved with the results:

    {"removed": ["data/old.csv", …]}

A file that is there again, made anew or added by the user, is off the record. In the storage, nothing is removed.

It runs on the Python of somebody's image, by path: it needs 3.8 or newer and imports nothing but the standard library.
`start.sh` starts it, or the configuration of a Jupyter server that the image itself starts (`jupyter_config.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import time
from pathlib import Path, PurePosixPath
from typing import Iterable  # noqa: UP035  Python 3.8 cannot use that of collections.abc

OURS = ".run-qarnot"  # below `/job`; never on the record
LOOK_SECONDS = 1.0  # between two looks, if that takes
LOAD = 0.02  # of a core, at most
LAST_SECONDS = 0.3  # between the two last looks
MOST_FILES = 300_000  # of `/job`: with more, nothing is recorded
MOST_NAMES = 50_000  # on the record
PARENT = os.getppid()


def names_in(record: bytes) -> set[str]:
    """Return the names on a record; none of one that is damaged. Anybody in the session may have written it."""
    try:
        names = json.loads(record)["removed"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def record_of(names: Iterable[str]) -> bytes:
    """Return a record of these names."""
    return json.dumps({"removed": sorted(names)}).encode() + b"\n"


def read(job: Path) -> set[str]:
    """Return the names on the record of a folder."""
    try:
        return names_in((job / OURS / "removed.json").read_bytes())
    except OSError:
        return set()


def write(job: Path, names: Iterable[str]) -> None:
    """Replace the record of a folder in one step.

    Raises:
        OSError: there is no room, or no such folder.
    """
    temporary = job / OURS / ".removed.new"
    temporary.write_bytes(record_of(names))
    temporary.replace(job / OURS / "removed.json")


def remove(job: Path, names: Iterable[str]) -> int:
    """Remove files of `/job`, and the folders that are empty for that; return how many files were there."""
    count = 0
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.parts[:1] in ((), (OURS,)):
            continue
        folders = [job.joinpath(*path.parts[:depth]) for depth in range(len(path.parts) - 1, 0, -1)]
        with contextlib.suppress(OSError, ValueError):
            if not any(folder.is_symlink() for folder in folders):  # they might lead out of `/job`
                (job / path).unlink()  # which refuses folders
                count += 1
                for folder in folders:
                    folder.rmdir()  # which refuses what is not empty
    return count


def files_in(job: Path) -> set[str]:
    """Return the files below `/job`, without ours, by the names that they get in the storage.

    Raises:
        OSError: something cannot be read, so that nothing can be said of what is not found.
    """
    found: set[str] = set()
    folders = [str(job)]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            if folder == str(job):
                raise
            continue  # gone since it was listed
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                found.add(os.fsencode(os.path.relpath(entry.path, job)).decode("utf-8", "replace"))
            elif entry.name != OURS or folder != str(job):
                folders.append(entry.path)
    return found


class Watch:
    """Finds out what is removed: what was seen, and is missing twice in a row, since many programs remove a file to
    replace it.

    Arguments:
        job: the folder.
        removed: what is on the record.

    Raises:
        OSError: something cannot be read.
        OverflowError: there are too many files.
    """

    def __init__(self, job: Path, removed: set[str]) -> None:
        self._job = job
        self._removed = removed
        self._first = self._look()
        self._seen = self._first | removed
        self._missing: set[str] = set()

    def look(self) -> None:
        """Look once, and write the record if it changes.

        Raises:
            OverflowError: there are too many files.
        """
        try:
            present = self._look()
        except OSError:
            return
        missing = (self._seen | present) - present
        self._seen |= present
        removed = missing & (self._missing | self._removed)
        self._missing = missing
        if removed != self._removed:
            with contextlib.suppress(OSError):  # a full disk; tried again
                write(self._job, self._most(removed))
                self._removed = removed

    def _look(self) -> set[str]:
        present = files_in(self._job)
        if len(present) > MOST_FILES:
            raise OverflowError
        return present

    def _most(self, names: set[str]) -> list[str]:
        """As many as a record takes; first those that were there when the run began, and so are in the storage."""
        return sorted(names, key=lambda name: (name not in self._first, name))[:MOST_NAMES]


def apply(job: Path, log: Path) -> None:
    """Remove what is on the record."""
    if count := remove(job, sorted(read(job))):
        say(log, f"Run Qarnot: {count} file(s) that were removed in an earlier run do not come back.")


def keep(watch: Watch, ready: Path | None, end: Path | None) -> None:
    """Write `ready`, and keep the record until SIGTERM, the file `end`, or the end of who started this program.

    Raises:
        OverflowError: there are too many files.
    """
    asked: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    if ready:
        ready.write_text("yes")
    # All machines of a run upload what is in `/job` under the same names: the first one keeps the record.
    if os.environ.get("INSTANCE_ID", "0") not in ("", "0"):
        return

    def waits(seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not asked and os.getppid() == PARENT and not (end and end.exists()):
            time.sleep(0.1)
        return time.monotonic() >= until

    took = 0.0
    while waits(max(LOOK_SECONDS, took / LOAD)):
        began = time.monotonic()
        watch.look()
        took = time.monotonic() - began
    watch.look()
    time.sleep(LAST_SECONDS)
    watch.look()


def say(log: Path, line: str) -> None:
    print(line, flush=True)  # noqa: T201  this is a program
    with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path, required=True)
    parser.add_argument("--ready", type=Path)  # is written once the app may start
    parser.add_argument("--end", type=Path)  # ends it, once it is there
    options = parser.parse_args()
    log = options.job / "logs" / "qarnot.log"
    apply(options.job, log)
    try:
        keep(Watch(options.job, read(options.job)), options.ready, options.end)
    except OverflowError:
        say(log, f"Run Qarnot: with more than {MOST_FILES} files, those that are removed come back in the next run.")


if __name__ == "__main__":
    main()
