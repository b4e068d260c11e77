"""`scp` and `sftp`: the files in a task's `/job`, and no others of this machine."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import Any

import asyncssh

_ROOT = b"/job"  # as the visitor sees it; relative paths begin there too


class JobFiles(asyncssh.SFTPServer):
    """asyncssh's own server, whose `chroot` follows links to wherever they lead; this one does not."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], job: Path) -> None:
        super().__init__(channel)
        self._job = os.fsencode(job.resolve())

    def map_path(self, path: bytes) -> bytes:
        """Where a path is on this machine, for all that follows a link."""
        place = self._place(path)
        self._check(place)
        return place

    def reverse_map_path(self, path: bytes) -> bytes:
        self._check(path)
        return _ROOT + path.removeprefix(self._job)

    def lstat(self, path: bytes) -> Any:
        return os.lstat(self._place(path))

    def remove(self, path: bytes) -> None:
        Path(os.fsdecode(self._place(path))).unlink()

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._check_kind(path)
        return super().open(path, pflags, attrs)

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._check_kind(path)
        return super().open56(path, desired_access, flags, attrs)

    def exit(self) -> None:
        self.channel.exit(0)  # scp expects an exit status

    def _place(self, path: bytes) -> bytes:
        """As `map_path`, for operations on a link itself: only its folder must be inside `/job`."""
        full = posixpath.normpath(posixpath.join(_ROOT, path))
        if full == b"/":  # the folder above, as every list begins with it
            full = _ROOT
        if full != _ROOT and not full.startswith(_ROOT + b"/"):
            raise asyncssh.SFTPNoSuchFile("Only /job can be reached here")
        place = self._job + full.removeprefix(_ROOT)
        if full != _ROOT:
            self._check(posixpath.dirname(place))
        return place

    def _check(self, place: bytes) -> None:
        real = os.path.realpath(place)
        if real != self._job and not real.startswith(self._job + b"/"):
            raise asyncssh.SFTPPermissionDenied("This leads out of /job")

    def _check_kind(self, path: bytes) -> None:
        place = Path(os.fsdecode(self.map_path(path)))
        if place.exists() and not place.is_file():
            raise asyncssh.SFTPFailure("This is no file")  # opening a pipe would block
