"""One cluster for each state folder."""

from __future__ import annotations

import fcntl
from pathlib import Path


class StateLock:
    """A lock that ends with its process, however that ends. Raises BlockingIOError when another holds it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise

    def __enter__(self) -> StateLock:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
