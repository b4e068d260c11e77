"""An upload in parts, as the storage knows it: begun or gone on with, looked at, completed or aborted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from run_qarnot.cloud.parts import etag_of_parts
from run_qarnot.cloud.work import Work, error_code
from run_qarnot.errors import RefusedError, TransferError

WRONG_CHECKSUM = "its checksum in the storage is not that of the file"


@dataclass(frozen=True)
class Unfinished:
    """Uploads in parts that were begun and neither completed nor aborted, by key; the newest first."""

    by_key: Mapping[str, Sequence[str]]

    def of(self, key: str) -> Sequence[str]:
        return self.by_key.get(key, ())


@dataclass(frozen=True)
class StoredPart:
    """A part that has arrived; `etag` without quotes, its MD5 unless the storage encrypts; size in bytes."""

    etag: str
    size: int


class Multipart:
    """One upload in parts. Its methods may be called from any thread; all raise `RunQarnotError`."""

    def __init__(self, client: Any, bucket: str, key: str, upload_id: str, work: Work) -> None:
        self.bucket = bucket
        self.key = key
        self.id = upload_id
        self._client = client
        self._work = work

    @classmethod
    def begin(
        cls, client: Any, bucket: str, key: str, begun: Sequence[str], work: Work
    ) -> tuple[Multipart, dict[int, StoredPart]]:
        """Go on with the first upload of `begun` that is still there, else begin one; return it with its parts."""
        for upload_id in begun:
            upload = cls(client, bucket, key, upload_id, work)
            try:
                return upload, upload.parts()
            except RefusedError:
                continue  # it has gone meanwhile, or may not be looked at
        answer = work.attempt(lambda: client.create_multipart_upload(Bucket=bucket, Key=key))
        return cls(client, bucket, key, answer["UploadId"], work), {}

    @property
    def names(self) -> dict[str, str]:
        """What every request about it says."""
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.id}

    def parts(self) -> dict[int, StoredPart]:
        """Return the parts that have arrived, by number."""

        def listed() -> dict[int, StoredPart]:
            pages = self._client.get_paginator("list_parts").paginate(**self.names)
            found = [part for page in pages for part in page.get("Parts", [])]
            return {part["PartNumber"]: StoredPart(part["ETag"].strip('"'), part["Size"]) for part in found}

        return self._work.attempt(listed)

    def complete(self, etags: Sequence[str]) -> None:
        """Make the parts with these ETags, from number 1 on, one object under its key.

        Raises:
            TransferError: the object has another checksum than these parts.
        """
        expected = etag_of_parts([bytes.fromhex(etag) for etag in etags]) if all(map(_is_md5, etags)) else ""
        listed = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, start=1)]

        def complete() -> str:
            answer = self._client.complete_multipart_upload(**self.names, MultipartUpload={"Parts": listed})
            return str(answer["ETag"]).strip('"')

        try:
            etag = self._work.attempt(complete)
        except RefusedError as error:
            etag = self._work.attempt(self._etag)
            if error_code(error) != "NoSuchUpload" or not expected or etag != expected:
                raise  # else the storage had completed it, and only its answer was lost
        if "-" in etag and expected and etag != expected:
            raise TransferError("upload", name=self.key, problem=WRONG_CHECKSUM)

    def abort(self) -> None:
        """Free its parts: they are in no list, but count against the quota. One that has gone already is fine."""
        try:
            self._work.attempt(partial(self._client.abort_multipart_upload, **self.names))
        except RefusedError as error:
            if error_code(error) != "NoSuchUpload":
                raise

    def _etag(self) -> str:
        try:
            return str(self._client.head_object(Bucket=self.bucket, Key=self.key)["ETag"]).strip('"')
        except self._client.exceptions.ClientError:
            return ""


def _is_md5(etag: str) -> bool:
    return len(etag) == 32 and set(etag) <= set("0123456789abcdef")
