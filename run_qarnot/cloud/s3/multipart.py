"""An upload in parts, as the storage knows it: begun or gone on with, looked at, completed or aborted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from run_qarnot.cloud.s3.etag import etag_of_parts
from run_qarnot.cloud.s3.transfer import WRONG_CHECKSUM, Transfer, error_code
from run_qarnot.core.errors import InputError, RefusedError, TransferError

IF_NEW = {"IfNoneMatch": "*"}  # have the storage itself guard a name: whoever comes second is refused, with
TAKEN = "PreconditionFailed"  # this code; a storage that does not know the condition ignores it
_NO_UPLOAD = "NoSuchUpload"  # completed or aborted, by whomever


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

    def __init__(self, client: Any, bucket: str, key: str, upload_id: str, work: Transfer) -> None:
        self.bucket = bucket
        self.key = key
        self.id = upload_id
        self._client = client
        self._work = work

    @classmethod
    def begin(
        cls, client: Any, bucket: str, key: str, begun: Sequence[str], work: Transfer
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

    def complete(self, etags: Sequence[str], *, replace: bool = True) -> None:
        """Make the parts with these ETags, from number 1 on, one object under its key.

        Raises:
            InputError: another object is there, and it is not to be replaced.
            TransferError: the object has another checksum than these parts.
        """
        expected = etag_of_parts([bytes.fromhex(etag) for etag in etags]) if all(map(_is_md5, etags)) else ""
        listed = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, start=1)]

        def complete() -> str:
            condition = {} if replace else IF_NEW
            answer = self._client.complete_multipart_upload(
                **self.names, **condition, MultipartUpload={"Parts": listed}
            )
            return str(answer["ETag"]).strip('"')

        try:
            etag = self._work.attempt(complete)
        except RefusedError as error:
            etag = self._work.attempt(self._etag)
            check_refusal(error, etag, expected, self.bucket, self.key, replace=replace)
        if "-" in etag and expected and etag != expected:
            raise TransferError("upload", name=self.key, problem=WRONG_CHECKSUM)

    def abort(self) -> None:
        """Free its parts: they are in no list, but count against the quota. One that has gone already is fine."""
        try:
            self._work.attempt(partial(self._client.abort_multipart_upload, **self.names))
        except RefusedError as error:
            if error_code(error) != _NO_UPLOAD:
                raise

    def _etag(self) -> str:
        return stored_etag(self._client, self.bucket, self.key)


def stored_etag(client: Any, bucket: str, key: str) -> str:
    """Ask for the ETag of an object; empty if there is none."""
    try:
        return str(client.head_object(Bucket=bucket, Key=key)["ETag"]).strip('"')
    except client.exceptions.ClientError:
        return ""


def check_refusal(error: RefusedError, there: str, sent: str, bucket: str, key: str, *, replace: bool) -> None:
    """Find out why the storage refused to make an object; it is fine if it has made it, and only its answer was lost.

    Arguments:
        error: the storage's.
        there: the ETag of the object that is there now; empty if there is none.
        sent: the ETag that ours has; empty if nobody can tell.
        replace: an object that was there was to be replaced.

    Raises:
        InputError: another one is there.
        RefusedError: `error`, if it was for another reason.
    """
    code = error_code(error)
    if code in {TAKEN, _NO_UPLOAD} and sent and there == sent:
        return
    if code == TAKEN or (code == _NO_UPLOAD and sent and there and not replace):
        raise InputError("input-exists", field="upload", name=key, bucket=bucket) from error
    raise error


def _is_md5(etag: str) -> bool:
    return len(etag) == 32 and set(etag) <= set("0123456789abcdef")
