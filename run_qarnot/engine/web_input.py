"""Transfers files from the web into a bucket as a stream, with only a few parts in memory at a time.

Small files, and files of unknown size, are first saved on this computer's disk: a multipart upload requires a large
file and a known number of parts.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from run_qarnot.cloud.web import WebReader
from run_qarnot.core.errors import InputError, TransferError
from run_qarnot.core.messages import Message
from run_qarnot.engine.client import AsyncStorage
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.part_buffer import PartBuffer, PartData
from run_qarnot.engine.retry import retrying
from run_qarnot.engine.session_state import Tell
from run_qarnot.engine.sizes import size
from run_qarnot.model.files import LARGE_BYTES, Upload, check_folders
from run_qarnot.model.web_file import WebFile

MOST_UNKNOWN_BYTES = 2 << 30  # for files of unknown size, which take space on this computer
_MOST_SENDING = 1  # parts being uploaded, in addition to the next one and the one being read
_TELL_SECONDS = 1.0
Cancelled = Callable[[], bool]


async def look(files: Sequence[WebFile]) -> list[WebFile]:
    """Return the files with their sizes, where their servers state them.

    Raises:
        RunQarnotError: a file does not exist, is not allowed, or its server does not respond.
    """
    return list(await asyncio.gather(*(in_thread(_look, file) for file in files)))


def _look(file: WebFile) -> WebFile:
    if file.size is not None:
        return file
    with WebReader(file) as reader:
        return reader.look()


async def bring(
    storage: AsyncStorage,
    bucket: str,
    files: Sequence[WebFile],
    tell: Tell,
    cancelled: Cancelled = lambda: False,
    *,
    replace_there: bool = False,
) -> None:
    """Transfer files into a bucket, one after the other. A known checksum is verified before a file is stored.

    Arguments:
        storage: of the account.
        bucket: an existing one.
        files: as returned by `look`.
        tell: called with the number of bytes received, at most once a second.
        cancelled: polled often; True ends the transfer.
        replace_there: replace files of the same name.

    Raises:
        InputError: a file of that name exists, or the checksum does not match.
        RunQarnotError: it could not be read or stored; nothing of that file is in the bucket.
    """
    for file in files:
        coming = _Coming(storage, bucket, file, tell, cancelled, replace_there=replace_there)
        await (coming.stream() if (file.size or 0) >= LARGE_BYTES else coming.keep_here())


class _Coming:
    """The transfer of one file."""

    def __init__(
        self,
        storage: AsyncStorage,
        bucket: str,
        file: WebFile,
        tell: Tell,
        cancelled: Cancelled,
        *,
        replace_there: bool,
    ) -> None:
        self._storage, self._bucket, self._file = storage, bucket, file
        self._tell_others, self._is_cancelled, self._replace = tell, cancelled, replace_there
        self._checksum = hashlib.sha256()
        self._came, self._told, self._is_over = 0, float("-inf"), False

    def _cancelled(self) -> bool:
        return self._is_over or self._is_cancelled()

    async def stream(self) -> None:
        """Upload it in parts while it arrives."""
        assert self._file.size is not None
        upload = await self._storage.direct(self._bucket, self._file.key, self._file.size)
        buffer, sending = PartBuffer(upload), set[asyncio.Task[None]]()
        try:
            with WebReader(self._file, self._cancelled) as reader:
                pieces = reader.read()
                while parts := await in_thread(self._next_parts, pieces, buffer):
                    sending |= {asyncio.create_task(self._send(buffer, part)) for part in parts}
                    while len(sending) > _MOST_SENDING:
                        sending = await _wait_for_one(sending)
            while sending:
                sending = await _wait_for_one(sending)
            if self._came != self._file.size:
                raise TransferError("web-changed", field="address", address=self._file.shown)
            self._check_content()
            if not await in_thread(buffer.check):
                raise TransferError("upload", name=self._file.key, problem=Message("stored-checksum"))
            await self._storage.complete(self._bucket, [upload], replace=self._replace)
        except InputError:
            await in_thread(upload.abort)  # the content is wrong or unwanted: keep nothing for a later attempt
            raise
        finally:
            self._is_over = True
            for task in sending:
                task.cancel()

    def _next_parts(self, pieces: Iterator[bytes], buffer: PartBuffer) -> list[PartData]:
        """Read until a part is complete; return nothing at the end."""
        for piece in pieces:
            before = buffer.received
            parts = buffer.take(before, piece)
            if buffer.received == before:  # more than announced
                raise TransferError("web-changed", field="address", address=self._file.shown)
            self._take(piece)
            if parts:
                return parts
        return []

    async def _send(self, buffer: PartBuffer, part: PartData) -> None:
        await retrying(lambda message: self._tell_others(message, None), in_thread, buffer.put, part)
        self._tell()

    async def keep_here(self) -> None:
        """Save it on the disk temporarily, then upload it like any other file."""
        with tempfile.TemporaryDirectory(prefix="run-qarnot-") as folder:
            path = Path(folder) / "file"
            try:
                with WebReader(self._file, self._cancelled) as reader:
                    await in_thread(self._write, reader, path)
                self._check_content()
                await self._storage.upload(
                    self._bucket, [Upload(path, self._file.key)], cancelled=self._cancelled, replace=self._replace
                )
            finally:
                self._is_over = True

    def _write(self, reader: WebReader, path: Path) -> None:
        with path.open("wb") as stream:
            for piece in reader.read():
                stream.write(piece)
                self._take(piece)
                if self._came > MOST_UNKNOWN_BYTES:
                    raise InputError(
                        "web-large", field="address", address=self._file.shown, most=size(MOST_UNKNOWN_BYTES)
                    )

    def _take(self, piece: bytes) -> None:
        self._checksum.update(piece)
        self._came += len(piece)

    def _check_content(self) -> None:
        found = self._checksum.hexdigest()
        if self._file.sha256 and found != self._file.sha256:
            raise InputError("web-checksum", field="address", name=self._file.key, found=found)

    def _tell(self) -> None:
        now, total = asyncio.get_running_loop().time(), self._file.size or 0
        if now >= self._told + _TELL_SECONDS and not self._is_over:
            self._told = now
            message = Message("bringing-file", name=self._file.key, moved=size(self._came), total=size(total))
            self._tell_others(message, self._came / total if total else 1.0)


async def _wait_for_one(sending: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, rest = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    return rest


def check_names(files: Sequence[WebFile], others: Collection[str]) -> None:
    """Check that files from the web have unique names among all inputs.

    Arguments:
        files: from the web.
        others: the keys of the other files.

    Raises:
        InputError: two files have the same name, or one has the name of another's folder.
    """
    seen = set(others)
    for file in files:
        if file.key in seen:
            raise InputError("file-twice", field="address", name=file.key)
        seen.add(file.key)
    check_folders([file.key for file in files], others)
