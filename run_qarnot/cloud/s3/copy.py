"""Copies files from one bucket to another of the same storage. The storage itself copies the bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial
from typing import Any

from run_qarnot.cloud.s3.etag import Part
from run_qarnot.cloud.s3.multipart import Multipart
from run_qarnot.cloud.s3.transfer import Job, Transfer, named
from run_qarnot.model.files import StoredCopy

THREADS = 4
LARGE_BYTES = 1 << 30  # files from this size on are copied in parts; S3 copies at most 5 GiB at once
PART_BYTES = 512 << 20


class Copying:
    """One file that is being copied."""

    def __init__(self, client: Any, bucket: str, copy: StoredCopy, work: Transfer) -> None:
        self._client = client
        self._names = {"Bucket": bucket, "Key": copy.file.key}
        self._source = {"Bucket": copy.bucket, "Key": copy.file.key}  # of a text, `?versionId=` would be no key
        self._file = copy.file
        self._work = work
        self._etags: dict[int, str] = {}
        self._lock = threading.Lock()
        self._parts = _parts_of(copy.file.size)

    def begin(self) -> Iterable[Job]:
        """The first job."""
        with named(self._file.key):
            if not self._parts:
                self._work.attempt(partial(self._client.copy_object, **self._names, CopySource=self._source))
                self._work.moved(self._file.size)
                return []
            bucket, key = self._names["Bucket"], self._names["Key"]
            upload, _ = Multipart.begin(self._client, bucket, key, len(self._parts), (), self._work)
            return [partial(self._copy, upload, part) for part in self._parts]

    def _copy(self, upload: Multipart, part: Part) -> Iterable[Job]:
        with named(self._file.key):
            span = f"bytes={part.start}-{part.start + part.size - 1}"
            copy = partial(
                self._client.upload_part_copy,
                **upload.names,
                PartNumber=part.number,
                CopySource=self._source,
                CopySourceRange=span,
                CopySourceIfMatch=f'"{self._file.etag}"',  # all parts are of one version
            )
            answer = self._work.attempt(copy)
            self._work.moved(part.size)
            with self._lock:
                self._etags[part.number] = str(answer["CopyPartResult"]["ETag"]).strip('"')
                is_complete = len(self._etags) == len(self._parts)
            if is_complete:
                upload.complete([self._etags[number] for number in sorted(self._etags)])
        return []


def _parts_of(size: int) -> list[Part]:
    """Return the parts in which a file is copied; none if it is copied at once."""
    if size < LARGE_BYTES:
        return []
    starts = range(0, size, PART_BYTES)
    return [Part(number, start, min(PART_BYTES, size - start)) for number, start in enumerate(starts, start=1)]
