"""Disk space reserved for uploads that have not arrived yet, shared by all pages of a server.

Each page is a separate process. It writes the number of bytes that it expects into a file of a shared folder, and locks
that file until it ends, so that the reservation of a killed page does not count.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows; the README recommends WSL
    fcntl = None  # type: ignore[assignment,unused-ignore]

SPARE_BYTES = 64 * 1024 * 1024  # left free for other programs
_PREFIX = "expected-"


class Room:
    """The reservation of one page.

    Arguments:
        folder: on the disk of the uploads, shared by all pages.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._expected = 0
        self._own = folder / f"{_PREFIX}{secrets.token_hex(8)}"
        self._file = os.open(self._own, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(self._file)
        self._finalizer = weakref.finalize(self, _forget, self._file, self._own)  # also at exit

    def take(self, size: int) -> bool:
        """Reserve `size` bytes if the disk has room besides all reservations; return whether it has."""
        with self._alone():
            free = shutil.disk_usage(self._folder).free - SPARE_BYTES
            if size > free - self._expected - self._of_others():
                return False
            self._expect(self._expected + size)
        return True

    def give_back(self, size: int) -> None:
        """Release `size` bytes that have arrived or were cancelled."""
        if size:
            self._expect(max(0, self._expected - size))

    def has(self, size: int) -> bool:
        """Whether so many bytes can be written now, because other programs use the disk, too."""
        return shutil.disk_usage(self._folder).free >= size + SPARE_BYTES

    def close(self) -> None:
        """Release everything."""
        self._finalizer()

    def _expect(self, size: int) -> None:
        self._expected = size
        os.pwrite(self._file, f"{size:20d}".encode(), 0)

    def _of_others(self) -> int:
        return sum(_expected_in(path) for path in self._folder.glob(f"{_PREFIX}*") if path != self._own)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock for reservations of all pages."""
        lock = os.open(self._folder, os.O_RDONLY)
        try:
            _lock(lock)
            yield
        finally:
            os.close(lock)


def _forget(file: int, path: Path) -> None:
    os.close(file)
    path.unlink(missing_ok=True)


def _lock(file: int) -> None:
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)


def _expected_in(path: Path) -> int:
    """Return the bytes that another page has reserved; 0 if it has ended."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return 0
    try:
        if fcntl is not None:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
                return 0
        return int(os.pread(file, 20, 0) or b"0")
    except (OSError, ValueError):
        return 0
    finally:
        os.close(file)
