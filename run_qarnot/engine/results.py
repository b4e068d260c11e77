"""The saved files of a session: reads its result bucket."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from run_qarnot import bootstrap
from run_qarnot.bootstrap import removed
from run_qarnot.core.errors import InputError
from run_qarnot.engine.client import AsyncStorage
from run_qarnot.model.files import StoredCopy, StoredFile

_ADDRESS_SECONDS = 300
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Results:
    """The result bucket of a session. Methods whose docstring says "Blocks" must run in a thread."""

    storage: AsyncStorage
    bucket: str | None  # None: another program started the session without one

    async def files(self) -> list[StoredFile]:
        """Return the saved files."""
        return await self.storage.files(self.bucket) if self.bucket else []

    async def with_inputs(self, inputs: str | None) -> list[StoredCopy]:
        """Return the files that were saved so far, and those that were sent; of two with one path, the newer.

        Arguments:
            inputs: the bucket with what was sent; our own programs there are left out.
        """
        found = {file.key: StoredCopy(self.bucket or "", file) for file in await self.files()}
        for file in await self.storage.files(inputs) if inputs else ():
            saved = found.get(file.key)
            if file.key not in bootstrap.KEYS and (saved is None or saved.file.modified < file.modified):
                found[file.key] = StoredCopy(inputs or "", file)
        return [found[key] for key in sorted(found)]

    async def address(self, key: str, seconds: int = _ADDRESS_SECONDS) -> str:
        """Return an address from which a browser downloads one file, without our server, valid for so many seconds."""
        return await self.storage.presign(self.bucket or "", key, seconds)

    def head(self, key: str, limit: int = _HEAD_BYTES) -> bytes:
        """Return the first bytes of a file, at most `limit`. Blocks."""
        head = bytearray()
        for chunk in self.storage.blocking.read(self.bucket, key) if self.bucket and limit else ():
            head += chunk
            if len(head) >= limit:
                break
        return bytes(head[:limit])

    def give_way(self, inputs: str, added: Container[str], *, replace: bool) -> None:
        """Remove results that would replace added files on the machine. Blocks.

        The machine reads the results after the inputs, so that a version which it has changed and saved would win.

        Arguments:
            inputs: the bucket to which the files were added.
            added: their paths.
            replace: the machine's versions may be deleted.

        Raises:
            InputError: there is such a version, and `replace` is false.
        """
        if self.bucket is None:
            return
        etags = {file.key: file.etag for file in self.storage.blocking.files(inputs) if file.key in added}
        changed = [file.key for file in self._files() if file.key in etags and file.etag != etags[file.key]]
        if changed and not replace:
            raise InputError("input-changed", field="upload", name=changed[0])
        self.storage.blocking.delete(self.bucket, changed)
        self.put_back(added)

    def make_way(self, inputs: str, added: Container[str]) -> bool:
        """Before files are added: of those that were removed in a run, the older versions go. Blocks.

        So none of them is in the way of the new one, which reaches a machine that had it before even if it is the same.

        Arguments:
            inputs: the bucket to which they will be added.
            added: their paths.

        Returns:
            Whether there were any.
        """
        if again := sorted(name for name in self.removed() if name in added):
            for bucket in (inputs, self.bucket):
                self.storage.blocking.delete(bucket or "", again)
            self.put_back(added)
        return bool(again)

    def removed(self) -> set[str]:
        """Return what was removed in the runs, and is not there any more (`bootstrap.REMOVED`). Blocks."""
        if self.bucket is None or all(file.key != bootstrap.REMOVED for file in self._files()):
            return set()
        return removed.names_in(self.head(bootstrap.REMOVED, bootstrap.REMOVED_BYTES))

    def put_back(self, added: Container[str]) -> None:
        """Take files that were added off the record of what was removed. Blocks."""
        names = self.removed()
        if (kept := {name for name in names if name not in added}) != names:
            self.storage.blocking.upload(self.bucket or "", [bootstrap.write_removed(kept)], replace=True)

    def prefer_uploads(self, inputs: str, ended: datetime | None) -> None:
        """Remove results that would replace files uploaded since the last run. Blocks.

        The machine reads the results after the inputs, so that their version of a file would win. Files that were
        uploaded again are also taken off the list of removed files (`bootstrap.REMOVED`).

        Arguments:
            inputs: the bucket with the uploads.
            ended: when the last run ended, by the cluster's clock; the storage's times are whole seconds.
        """
        if self.bucket is None or ended is None:
            return
        since, storage = ended.replace(microsecond=0), self.storage.blocking
        added = {file.key: file for file in storage.files(inputs) if file.modified >= since}
        saved = {file.key: file for file in self._files()} if added else {}
        older = [key for key, file in added.items() if key in saved and _is_newer(file, saved[key])]
        storage.delete(self.bucket, older)
        if added:
            self.put_back(added)

    def zip(
        self,
        files: Sequence[StoredFile | StoredCopy] | None = None,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[bytes]:
        """Yield files as one zip; all files if `files` is None. Blocks."""
        found = [self._placed(each) for each in (self._files() if files is None else files)]
        return self.storage.blocking.zip_of(found, cancelled=cancelled)

    def download(
        self,
        files: Sequence[StoredFile | StoredCopy],
        folder: Path,
        progress: Callable[[int], None],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[str]:
        """Write files below a folder; return the keys of those whose checksum could not be verified. Blocks."""
        found = [self._placed(each) for each in files]
        unconfirmed: list[str] = []
        for bucket in dict.fromkeys(each.bucket for each in found):
            of_one = [each.file for each in found if each.bucket == bucket]
            unconfirmed += self.storage.blocking.download(bucket, of_one, folder, progress, cancelled=cancelled)
        return unconfirmed

    def _placed(self, file: StoredFile | StoredCopy) -> StoredCopy:
        return file if isinstance(file, StoredCopy) else StoredCopy(self.bucket or "", file)

    def _files(self) -> list[StoredFile]:
        return self.storage.blocking.files(self.bucket) if self.bucket else []


def _is_newer(added: StoredFile, saved: StoredFile) -> bool:
    return added.etag != saved.etag and added.modified > saved.modified
