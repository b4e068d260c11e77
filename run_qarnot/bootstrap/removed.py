"""Keeps files that were removed in a run from coming back in the next, by a record of removed files.

The platform fills `/job` with the inputs and with everything that earlier runs saved, and a save removes nothing from
the storage. So this program removes the recorded files again before the app starts, and then keeps the record up to
date until SIGTERM or the end of its parent. The record is saved with the results:

    {"removed": ["data/old.csv", …]}

A file that exists again, because it was written or added by the user, leaves the record. Nothing is removed from the
storage.

It is run by path with the Python of the user's image: it needs 3.8 or newer and imports only the standard library.
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

OURS = ".run-qarnot"  # below `/job`; never recorded
TEMPORARY = (".requirements.txt.new", ".requirements-full.txt.new")  # of `packages.py`; neither
LOOK_SECONDS = 1.0  # between two scans, if that takes
LOAD = 0.02  # of a core, at most
LAST_SECONDS = 0.3  # between the two last scans
MOST_FILES = 300_000  # of `/job`: with more, nothing is recorded
MOST_NAMES = 50_000  # on the record
PARENT = os.getppid()


def names_in(record: bytes) -> set[str]:
    """Return the names in a record; none if it is damaged. Anybody in the session may have written it."""
    try:
        names = json.loads(record)["removed"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def record_of(names: Iterable[str]) -> bytes:
    """Return the text of a record with these names."""
    return json.dumps({"removed": sorted(names)}).encode() + b"\n"


def read(job: Path) -> set[str]:
    """Return the names in the record of a folder."""
    try:
        return names_in((job / OURS / "removed.json").read_bytes())
    except OSError:
        return set()


def write(job: Path, names: Iterable[str]) -> None:
    """Replace the record of a folder atomically.

    Raises:
        OSError: the disk is full, or the folder does not exist.
    """
    temporary = job / OURS / ".removed.new"
    temporary.write_bytes(record_of(names))
    temporary.replace(job / OURS / "removed.json")


def remove(job: Path, names: Iterable[str]) -> int:
    """Remove files of `/job` and the folders that this leaves empty; return how many files existed."""
    count = 0
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.parts[:1] in ((), (OURS,)):
            continue
        folders = [job.joinpath(*path.parts[:depth]) for depth in range(len(path.parts) - 1, 0, -1)]
        with contextlib.suppress(OSError, ValueError):
            if not any(folder.is_symlink() for folder in folders):  # they might point outside `/job`
                (job / path).unlink()  # which refuses folders
                count += 1
                for folder in folders:
                    folder.rmdir()  # which refuses what is not empty
    return count


def files_in(job: Path) -> set[str]:
    """Return the files below `/job`, without ours, by their names in the storage.

    Raises:
        OSError: something cannot be read, so that missing files cannot be determined.
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
            continue  # removed since it was listed
        for entry in entries:
            if folder == str(job) and entry.name in TEMPORARY:
                continue
            if not entry.is_dir(follow_symlinks=False):
                found.add(os.fsencode(os.path.relpath(entry.path, job)).decode("utf-8", "replace"))
            elif entry.name != OURS or folder != str(job):
                folders.append(entry.path)
    return found


class Watch:
    """Detects removed files: those that were seen before and are missing in two scans in a row, since many programs
    remove a file to replace it.

    Arguments:
        job: the folder.
        removed: the recorded names.

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
        """Scan once, and write the record if it changes.

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
            with contextlib.suppress(OSError):  # such as a full disk; tried again
                write(self._job, self._most(removed))
                self._removed = removed

    def _look(self) -> set[str]:
        present = files_in(self._job)
        if len(present) > MOST_FILES:
            raise OverflowError
        return present

    def _most(self, names: set[str]) -> list[str]:
        """As many as a record may have; first those that existed at the start of the run, which are in the storage."""
        return sorted(names, key=lambda name: (name not in self._first, name))[:MOST_NAMES]


def apply(job: Path, log: Path) -> None:
    """Remove the recorded files."""
    if count := remove(job, sorted(read(job))):
        say(log, f"Run Qarnot: {count} file(s) that were removed in an earlier run do not come back.")


def keep(watch: Watch, ready: Path | None, end: Path | None) -> None:
    """Write `ready`, and keep the record until SIGTERM, the file `end`, or the end of the parent process.

    Raises:
        OverflowError: there are too many files.
    """
    asked: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    if ready:
        ready.write_text("yes")
    # All machines of a run upload their `/job` under the same names, so only the first one keeps the record.
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
    except OSError as error:
        say(log, f"Run Qarnot: the files cannot be listed ({error.strerror}): those that are removed come back.")


if __name__ == "__main__":
    main()
