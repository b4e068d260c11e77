"""What a session has saved: its result bucket, read."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from run_qarnot import bootstrap
from run_qarnot.core.errors import InputError
from run_qarnot.engine.client import AsyncStorage
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.files import StoredFile

_ADDRESS_SECONDS = 300
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Results:
    """Blocking methods say so: run them in a thread."""

    storage: AsyncStorage
    bucket: str | None  # None: a session that was made without one, by another program

    async def files(self) -> list[StoredFile]:
        """Return the files that were saved so far."""
        return await self.storage.files(self.bucket) if self.bucket else []

    async def address(self, key: str, seconds: int = _ADDRESS_SECONDS) -> str:
        """Return an address at which a browser gets one file straight from the storage, good for so many seconds."""
        return await self.storage.presign(self.bucket or "", key, seconds)

    async def read_head(self, key: str, limit: int = _HEAD_BYTES) -> bytes:
        """Return the first bytes of a file, at most `limit`."""
        return await in_thread(self.head, key, limit)

    def head(self, key: str, limit: int = _HEAD_BYTES) -> bytes:
        """Return the first bytes of a file, at most `limit`. Blocks."""
        head = bytearray()
        for chunk in self.storage.blocking.read(self.bucket, key) if self.bucket and limit else ():
            head += chunk
            if len(head) >= limit:
                break
        return bytes(head[:limit])

    def give_way(self, inputs: str, added: Container[str], *, replace: bool) -> None:
        """Let files that were added be those that the machine has. Blocks.

        The results come after the inputs, so of a file that the machine has changed and saved its own version wins.

        Arguments:
            inputs: the bucket to which they were added.
            added: their paths.
            replace: the machine's versions may go.

        Raises:
            InputError: there is such a version, and it may not.
        """
        if self.bucket is None:
            return
        etags = {file.key: file.etag for file in self.storage.blocking.files(inputs) if file.key in added}
        changed = [file.key for file in self._files() if file.key in etags and file.etag != etags[file.key]]
        if changed and not replace:
            raise InputError("input-changed", field="upload", name=changed[0])
        self.storage.blocking.delete(self.bucket, changed)

    def prefer_uploads(self, inputs: str, ended: datetime | None) -> None:
        """Before another run: what was uploaded after the last one wins over what that left. Blocks.

        The results come after the inputs, so of a file that both have, the version of the results goes. And what was
        uploaded anew is off the record of what was removed (`bootstrap.REMOVED`).

        Arguments:
            inputs: the bucket with what was uploaded.
            ended: when the last run ended, by the cluster's clock; the storage tells times in whole seconds.
        """
        if self.bucket is None or ended is None:
            return
        since, storage = ended.replace(microsecond=0), self.storage.blocking
        added = {file.key: file for file in storage.files(inputs) if file.modified >= since}
        saved = {file.key: file for file in self._files()} if added else {}
        older = [key for key, file in added.items() if key in saved and _is_newer(file, saved[key])]
        storage.delete(self.bucket, older)
        if bootstrap.REMOVED in saved:
            removed = bootstrap.read_removed(self.head(bootstrap.REMOVED))
            if again := removed & added.keys():
                upload = bootstrap.write_removed(removed - again)
                storage.upload(self.bucket, [upload], replace=True)

    def zip(
        self, files: Sequence[StoredFile] | None = None, *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[bytes]:
        """Yield files as one zip; all of them if none are named. Blocks."""
        return self.storage.blocking.zip(
            self.bucket or "", self._files() if files is None else files, cancelled=cancelled
        )

    def download(
        self,
        files: Sequence[StoredFile],
        folder: Path,
        progress: Callable[[int], None],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """Write files below a folder, and return those whose checksum could not be confirmed. Blocks."""
        return self.storage.blocking.download(self.bucket or "", files, folder, progress, cancelled=cancelled)

    def _files(self) -> list[StoredFile]:
        return self.storage.blocking.files(self.bucket) if self.bucket else []


def _is_newer(added: StoredFile, saved: StoredFile) -> bool:
    return added.etag != saved.etag and added.modified > saved.modified
