"""Uploads files to a bucket: in parts, several at once, with checksums, continuing earlier attempts.

A part is read from the disk twice, first for its MD5, then to be sent. This needs no memory, however large the parts
are; if the file changes in between, the storage refuses it or returns another ETag.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from run_qarnot.cloud.s3.etag import BLOCK_BYTES, Part, has_parts, is_encrypted, md5, parts_of
from run_qarnot.cloud.s3.multipart import (
    IF_NEW,
    Conditions,
    IfNew,
    Multipart,
    StoredPart,
    Unfinished,
    check_refusal,
    stored_etag,
)
from run_qarnot.cloud.s3.transfer import WRONG_CHECKSUM, BrokenError, Job, Transfer, named
from run_qarnot.core.errors import InputError, RefusedError, TransferError
from run_qarnot.core.messages import Message
from run_qarnot.model.files import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 4


class Section:
    """A part of a file as the body of a request. It counts the bytes that are sent, and raises when the transfer is
    cancelled."""

    def __init__(self, file: Any, part: Part, work: Transfer) -> None:
        self._file = file
        self._part = part
        self._work = work
        self._place = 0
        self._sent = 0
        self.is_sent = False  # botocore reads it once to sign it; bytes count after that

    def __len__(self) -> int:
        return self._part.size

    def read(self, count: int | None = None) -> bytes:
        self._work.check()
        left = self._part.size - self._place
        self._file.seek(self._part.start + self._place)
        data: bytes = self._file.read(left if count is None or count < 0 else min(count, left))
        if not data and left:
            raise OSError("the file got shorter")  # otherwise the storage would wait for the rest until its time-out
        self._place += len(data)
        if self.is_sent and data:
            self._sent += len(data)
            self._work.moved(len(data))
        return data

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; bytes that were sent before are sent again."""
        self._place = place + (0, self._place, self._part.size)[whence]
        if self._sent:
            self._work.moved(-self._sent)
            self._sent = 0
        self.is_sent = False
        return self._place

    def tell(self) -> int:
        return self._place


def count_what_is_sent(client: S3Client) -> None:
    """Tell the bodies of requests when they are sent, instead of only read to be signed."""

    def before_send(request: Any, **_: Any) -> None:
        if isinstance(request.body, Section):
            request.body.is_sent = True

    client.meta.events.register_last("before-send.s3", before_send, unique_id="run-qarnot-progress")


class Sending:
    """The upload of a file. `replace`: an object with its name may be replaced."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        upload: Upload,
        unfinished: Unfinished,
        work: Transfer,
        conditions: Conditions,
        *,
        replace: bool,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._upload = upload
        self._work = work
        self._replace = replace
        self._conditions = conditions
        self._begun = unfinished.of(upload.key)
        self._stored: dict[int, StoredPart] = {}
        self._digests: dict[int, bytes] = {}
        self._parts: list[Part] = []
        self._state: tuple[int, ...] = ()
        self._lock = threading.Lock()

    def begin(self) -> Iterable[Job]:
        """The first job."""
        return self._named(self._begin)

    def _named(self, job: Job) -> Iterable[Job]:
        """Run a job; its errors name the file."""
        with named(self._upload.key):
            return job()

    def _job(self, job: Job) -> Job:
        return partial(self._named, job)

    def _begin(self) -> Iterable[Job]:
        self._state = self._look()
        size = self._upload.path.stat().st_size
        if not has_parts(size):
            self._put(Part(1, 0, size))
            return []
        self._parts = parts_of(size)
        multipart, self._stored = Multipart.begin(
            self._client, **self._names, count=len(self._parts), begun=self._begun, work=self._work
        )
        return [self._job(partial(self._send, multipart, part)) for part in self._parts]

    def _put(self, part: Part) -> None:
        condition: IfNew = {}
        sent, is_ours = b"", False  # whether what stands there is ours: perhaps changed on the way, so sent again

        def put(body: Any, digest: bytes) -> str:
            nonlocal condition, sent, is_ours
            sent, is_guarded = digest, not (self._replace or is_ours)
            if is_guarded and not self._conditions.are_kept and self._is_there(digest):
                self._work.moved(part.size)
                return digest.hex()
            condition = IF_NEW if is_guarded and self._conditions.are_kept else {}
            checksum = base64.b64encode(digest).decode()
            answer = self._client.put_object(
                Bucket=self._bucket, Key=self._upload.key, Body=body, ContentMD5=checksum, **condition
            )
            is_ours = True
            return _comparable(answer)

        try:
            self._deliver(part, put)
        except RefusedError as error:
            if condition and self._conditions.are_missing(error):
                self._put(part)
                return
            there = self._work.attempt(lambda: stored_etag(self._client, **self._names))
            check_refusal(error, there, sent.hex(), **self._names, replace=self._replace)
            self._work.moved(part.size)

    def _is_there(self, digest: bytes) -> bool:
        """Whether the file has arrived by now, for a storage that replaces it unasked.

        Raises:
            InputError: another one of its name has.
        """
        there = stored_etag(self._client, **self._names)
        if there and there != digest.hex():
            raise InputError("input-exists", field="upload", name=self._upload.key, bucket=self._bucket)
        return bool(there)

    def _send(self, multipart: Multipart, part: Part) -> Iterable[Job]:
        def send(body: Any, digest: bytes) -> str:
            answer = self._client.upload_part(
                **multipart.names, PartNumber=part.number, Body=body, ContentMD5=base64.b64encode(digest).decode()
            )
            return _comparable(answer)

        digest = self._deliver(part, send, self._stored.get(part.number))
        with self._lock:
            self._digests[part.number] = digest
            is_last = len(self._digests) == len(self._parts)
        return [self._job(partial(self._complete, multipart))] if is_last else []

    def _deliver(self, part: Part, send: Any, stored: StoredPart | None = None) -> bytes:
        """Send a part unless the storage has it; return its MD5."""

        def once() -> bytes:
            with self._upload.path.open("rb") as file:
                digest = self._digest(file, part)
                self._check_unchanged()
                if stored == StoredPart(digest.hex(), part.size):
                    self._work.moved(part.size)
                    return digest
                body = Section(file, part, self._work)
                try:
                    etag = send(body if part.size else b"", digest)
                except BaseException:  # re-raised after taking back the bytes that were counted
                    body.seek(0)
                    raise
            if etag not in {"", digest.hex()}:
                body.seek(0)
                raise BrokenError(WRONG_CHECKSUM)
            return digest

        return self._work.attempt(once)

    def _digest(self, file: Any, part: Part) -> bytes:
        digest, left = md5(), part.size
        file.seek(part.start)
        while left and (block := file.read(min(BLOCK_BYTES, left))):
            self._work.check()
            digest.update(block)
            left -= len(block)
        return digest.digest()

    def _complete(self, multipart: Multipart) -> Iterable[Job]:
        self._check_unchanged()
        multipart.complete([self._digests[part.number].hex() for part in self._parts], replace=self._replace)
        self._abort_others(multipart)
        return []

    def _abort_others(self, multipart: Multipart) -> None:
        """Abort the uploads of earlier attempts."""
        for upload_id in self._begun:
            if upload_id != multipart.id:
                with contextlib.suppress(RefusedError):
                    Multipart(self._client, **self._names, upload_id=upload_id, work=self._work).abort()

    def _look(self) -> tuple[int, ...]:
        found = self._upload.path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _check_unchanged(self) -> None:
        if self._look() != self._state:
            problem = Message("changed-while-uploaded")
            raise TransferError("upload", name=self._upload.key, problem=problem)

    @property
    def _names(self) -> dict[str, str]:
        return {"bucket": self._bucket, "key": self._upload.key}


def _comparable(answer: Mapping[str, Any]) -> str:
    """Return the ETag of an answer; empty if it is not an MD5, because the storage encrypts."""
    return "" if is_encrypted(answer) else str(answer.get("ETag", "")).strip('"')
