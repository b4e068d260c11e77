"""A multipart upload of the storage: started or continued, listed, completed or aborted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from run_qarnot.cloud.s3.etag import etag_of_parts
from run_qarnot.cloud.s3.transfer import UPLOAD_GONE, WRONG_CHECKSUM, Transfer, error_code
from run_qarnot.core.errors import InputError, RefusedError, RunQarnotError, TransferError, UnreachableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


class IfNew(TypedDict, total=False):
    """The condition of a request that creates an object, as S3 names it."""

    IfNoneMatch: str


# The storage itself refuses to replace an object, unless it ignores the condition.
IF_NEW: IfNew = {"IfNoneMatch": "*"}
_TAKEN = "PreconditionFailed"  # the answer to `IF_NEW` when there is an object
_GONE = {"NoSuchUpload", "NoSuchKey"}  # completed or aborted; Ceph says the second where the parts are asked for
_GONE_OR_BUSY = "InternalError"  # Ceph's answer to completing an upload that is gone, or is being completed
_NO_CONDITIONS = {"NotImplemented"}  # the answer to `IF_NEW` of a storage that does not have it
_NOT_FOUND = 404

log = logging.getLogger(__name__)


class Conditions:
    """Whether a storage itself refuses to replace an object. Once it says that it cannot, it is not asked to again.

    Arguments:
        are_kept: what is known before.
    """

    def __init__(self, *, are_kept: bool = True) -> None:
        self.are_kept = are_kept

    def are_missing(self, error: RunQarnotError) -> bool:
        """Whether the answer to `IF_NEW` says that there are none; that is logged once."""
        if error_code(error) not in _NO_CONDITIONS:
            return False
        if self.are_kept:
            self.are_kept = False
            log.warning("The storage cannot be told not to replace a file: each is looked for right before it is sent.")
        return True


@dataclass(frozen=True)
class Unfinished:
    """Multipart uploads that were neither completed nor aborted.

    Arguments:
        by_key: their ids, the newest first.
        is_known: False where the storage could not list them.
    """

    by_key: Mapping[str, Sequence[str]]
    is_known: bool = True

    def of(self, key: str) -> Sequence[str]:
        return self.by_key.get(key, ())


@dataclass(frozen=True)
class StoredPart:
    """A part that has arrived; `etag` without quotes, its MD5 unless the storage encrypts; size in bytes."""

    etag: str
    size: int


class UploadNames(TypedDict):
    """The parameters of every request about a multipart upload, as S3 names them."""

    Bucket: str
    Key: str
    UploadId: str


class Multipart:
    """One upload in parts. Its methods may be called from any thread; all raise `RunQarnotError`."""

    def __init__(self, client: S3Client, bucket: str, key: str, upload_id: str, work: Transfer) -> None:
        self.bucket = bucket
        self.key = key
        self.id = upload_id
        self._client = client
        self._work = work

    @classmethod
    def begin(
        cls, client: S3Client, bucket: str, key: str, count: int, begun: Sequence[str], work: Transfer
    ) -> tuple[Multipart, dict[int, StoredPart]]:
        """Continue the first usable upload of `begun`, otherwise start one; return it with its parts.

        Arguments:
            count: how many parts the file has. An upload with a higher part number belongs to a longer file: Ceph
                completes an upload only with all of its parts.
        """
        for upload_id in begun:
            upload = cls(client, bucket, key, upload_id, work)
            try:
                parts = upload.parts()
            except RefusedError:
                continue  # it no longer exists, or may not be listed
            if max(parts, default=0) <= count:
                return upload, parts
        answer = work.attempt(lambda: client.create_multipart_upload(Bucket=bucket, Key=key))
        return cls(client, bucket, key, answer["UploadId"], work), {}

    @property
    def names(self) -> UploadNames:
        """The parameters of every request about it."""
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.id}

    def parts(self) -> dict[int, StoredPart]:
        """Return the parts that have arrived, by number."""

        def listed() -> dict[int, StoredPart]:
            pages = self._client.get_paginator("list_parts").paginate(**self.names)
            found = [part for page in pages for part in page.get("Parts", [])]
            return {part["PartNumber"]: StoredPart(part["ETag"].strip('"'), part["Size"]) for part in found}

        return self._work.attempt(listed)

    def complete(self, etags: Sequence[str], *, replace: bool = True) -> None:
        """Complete the upload from the parts with these ETags, numbered from 1.

        Ceph ignores `If-None-Match` here (`reference/storage-ceph.md`), so without `replace` the key is checked right
        before each attempt. An object that arrives in the milliseconds between is replaced.

        Raises:
            InputError: another object exists, and must not be replaced.
            TransferError: the object has another checksum than these parts, or the upload no longer exists.
        """
        expected = etag_of_parts([bytes.fromhex(etag) for etag in etags]) if all(map(_is_md5, etags)) else ""
        listed: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, start=1)
        ]

        def complete() -> str:
            if not replace and (there := self._etag()):
                if there != expected:
                    raise InputError("input-exists", field="upload", name=self.key, bucket=self.bucket)
                self.abort()  # made by an attempt whose answer was lost, or by another upload of the same file
                return there
            return self._completed(listed, {} if replace else IF_NEW) or self._etag()

        try:
            etag = self._work.attempt(complete)
        except (RefusedError, UnreachableError) as error:
            if not error_code(error):
                raise  # no answer: the storage cannot be asked either
            etag = self._work.attempt(self._etag)
            check_refusal(error, etag, expected, self.bucket, self.key, replace=replace)
        if expected and "-" in etag and etag != expected:
            raise TransferError("upload", name=self.key, problem=WRONG_CHECKSUM)

    def _completed(self, listed: list[CompletedPartTypeDef], condition: IfNew) -> str:
        """Complete it; return the object's ETag, empty if the storage does not state it, as Ceph does."""
        try:
            answer = self._client.complete_multipart_upload(
                **self.names, **condition, MultipartUpload={"Parts": listed}
            )
        except self._client.exceptions.ClientError as error:
            if condition and error.response["Error"]["Code"] in _NO_CONDITIONS:
                return self._completed(listed, {})  # the key was checked right before
            if error.response["Error"]["Code"] == _GONE_OR_BUSY:
                self._client.list_parts(
                    **self.names, MaxParts=1
                )  # fails if it no longer exists, so that there is no retry
            raise
        return str(answer.get("ETag", "")).strip('"')

    def abort(self) -> None:
        """Free its parts, which no list shows but the quota counts. An upload that no longer exists is no error."""
        try:
            self._work.attempt(partial(self._client.abort_multipart_upload, **self.names))
        except RefusedError as error:
            if error_code(error) not in _GONE:
                raise

    def _etag(self) -> str:
        return stored_etag(self._client, self.bucket, self.key)


def stored_etag(client: S3Client, bucket: str, key: str) -> str:
    """Return the ETag of an object; empty if there is none."""
    try:
        return str(client.head_object(Bucket=bucket, Key=key)["ETag"]).strip('"')
    except client.exceptions.ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == _NOT_FOUND:
            return ""
        raise  # it is unknown which object exists


def check_refusal(error: RunQarnotError, there: str, sent: str, bucket: str, key: str, *, replace: bool) -> None:
    """Raise the error for a refused object. There is none if the object was stored and only the answer was lost.

    Arguments:
        error: the storage's.
        there: the ETag of the object that exists now; empty if there is none.
        sent: the ETag of our object; empty if unknown.
        replace: an existing object was to be replaced.

    Raises:
        InputError: another object exists.
        TransferError: the upload no longer exists.
        RunQarnotError: `error`, if it was for another reason.
    """
    code = error_code(error)
    if code in {_TAKEN, *_GONE} and sent and there == sent:
        return
    if code == _TAKEN or (code in _GONE and sent and there and not replace):
        raise InputError("input-exists", field="upload", name=key, bucket=bucket) from error
    if code in _GONE:
        raise TransferError("upload", name=key, problem=UPLOAD_GONE) from error
    raise error


def _is_md5(etag: str) -> bool:
    return len(etag) == 32 and set(etag) <= set("0123456789abcdef")
