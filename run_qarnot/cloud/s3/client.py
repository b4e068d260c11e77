"""The client for buckets. All methods block; several threads may use one client.

Uploads only add files. Nothing is mirrored, and only methods named `delete` delete files (`design.md` §2.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import unquote

from zipstream import ZIP_STORED, ZipStream

from run_qarnot.cloud.errors import translated
from run_qarnot.cloud.lenient_xml import accept_any_key
from run_qarnot.cloud.s3.browser_upload import DirectUpload, allow_origin
from run_qarnot.cloud.s3.copy import THREADS as COPY_THREADS
from run_qarnot.cloud.s3.copy import Copying
from run_qarnot.cloud.s3.download import Saving
from run_qarnot.cloud.s3.etag import checksum_of, has_parts
from run_qarnot.cloud.s3.multipart import Conditions, Multipart, Unfinished
from run_qarnot.cloud.s3.read_ahead import Piece, ReadAhead, ReplacedError
from run_qarnot.cloud.s3.transfer import (
    WAITS,
    Cancelled,
    GivenUpError,
    Progress,
    Transfer,
    error_code,
    named,
    problem_of,
)
from run_qarnot.cloud.s3.upload import THREADS, Sending, count_what_is_sent
from run_qarnot.core.errors import InputError, RefusedError, RunQarnotError, TransferError, UnreachableError
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.names import fits_xml
from run_qarnot.model.files import StoredCopy, StoredFile, Upload, check_folders
from run_qarnot.model.paths import local_paths, zip_paths

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef, ObjectTypeDef, TagTypeDef

OWNER_TAG = "run-qarnot"

_CHUNK = 1 << 20
_MOST_AT_ONCE = 1000  # keys in one request to delete
_MOST_PRESIGNED_SECONDS = 7 * 24 * 3600  # S3's limit; Ceph refuses an address that is signed for longer
_NOT_FOUND, _FORBIDDEN = "404", "403"  # the answer to a HEAD has no other code
_UNREADABLE = "500"  # botocore's code for an answer that is not XML; a failure of the server has another code
_QUICK_WAITS = (0.2, 0.6)  # for calls that a user waits for


class _Behind(TypedDict, total=False):
    """The position after which the next page of unfinished uploads begins, as S3 names it."""

    KeyMarker: str
    UploadIdMarker: str


class Storage:
    """The buckets of one account."""

    def __init__(
        self,
        client: S3Client,
        cluster: str,
        waits: Sequence[float] = WAITS,
        *,
        calls: S3Client | None = None,
        conditional_puts: bool = True,
    ) -> None:
        """Take clients of boto3.

        Arguments:
            client: for transfers.
            cluster: the address, for error messages.
            waits: seconds before each further attempt of a transfer.
            calls: for calls with small answers that a user waits for; the same client by default.
            conditional_puts: the storage supports conditions, so that it refuses to replace a file.
        """
        self._client = client
        self._calls = client if calls is None else calls
        self._cluster = cluster
        self._waits = waits
        self._conditions = Conditions(are_kept=conditional_puts)
        self._quick = Transfer(cluster, waits=_QUICK_WAITS)
        # botocore's own retries sleep and cannot be interrupted; those of `Transfer` end when the user cancels.
        for each in (client, self._calls):
            each.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")
            accept_any_key(each)
        count_what_is_sent(client)

    def create(self, bucket: str, owner: str) -> None:
        """Create a bucket unless the account has it already.

        It is searched for first: at the account's limit of buckets, Ceph refuses to create even an existing one
        (`reference/storage-ceph.md`).

        It is tagged with its session, because the name alone proves nothing once the session is deleted. It is not
        known whether Qarnot's storage supports tags, as Ceph does; without tags a left-over bucket is not found.

        Arguments:
            bucket: its name.
            owner: the name of its session.

        Raises:
            InputError: the bucket belongs to another account.
        """
        if bucket not in self.buckets():
            try:
                self._quick.attempt(lambda: self._calls.create_bucket(Bucket=bucket))
            except RefusedError as error:
                if error_code(error) == "BucketAlreadyExists":
                    raise InputError("bucket-foreign", field="name", bucket=bucket) from error
                if bucket not in self.buckets():  # otherwise an earlier call created it and its answer was lost
                    raise
        tags: list[TagTypeDef] = [{"Key": OWNER_TAG, "Value": owner}]
        with contextlib.suppress(RunQarnotError):
            self._quick.attempt(lambda: self._calls.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags}))

    def is_foreign(self, bucket: str) -> bool:
        """Whether a bucket belongs to another account. Names are shared by all accounts of a storage.

        Arguments:
            bucket: not one of `buckets`.
        """
        try:
            self._quick.attempt(lambda: self._calls.head_bucket(Bucket=bucket))
        except RefusedError as error:
            if error_code(error) not in {_NOT_FOUND, _FORBIDDEN}:
                raise
            return error_code(error) == _FORBIDDEN
        return True  # its owner lets everybody read it

    def owner(self, bucket: str) -> str | None:
        """Return the session of a bucket from its tag; None without a tag or an answer."""
        with contextlib.suppress(RefusedError):  # such as NoSuchTagSet
            answer = self._quick.attempt(lambda: self._calls.get_bucket_tagging(Bucket=bucket))
            return next((str(tag["Value"]) for tag in answer["TagSet"] if tag["Key"] == OWNER_TAG), None)
        return None

    def last_upload(self, bucket: str) -> datetime | None:
        """Return when the last part of an unfinished upload arrived; None without unfinished uploads.

        Raises:
            RefusedError: the storage does not list unfinished uploads.
        """
        found: list[datetime] = []
        unfinished = self._unfinished(bucket, self._quick)
        if not unfinished.is_known:
            raise RefusedError("storage-refused", action="ListMultipartUploads", message=Message("list-unreadable"))
        for key, upload_ids in unfinished.by_key.items():
            for upload_id in upload_ids:
                parts = self._calls.get_paginator("list_parts")
                pages = parts.paginate(Bucket=bucket, Key=key, UploadId=upload_id)
                with translated(self._cluster):
                    found += [part["LastModified"] for page in pages for part in page.get("Parts", [])]
        return max(found, default=None)

    def buckets(self) -> dict[str, datetime]:
        """Return the names of all buckets of the account, with the time of their creation."""
        found = self._quick.attempt(self._calls.list_buckets)
        with translated(self._cluster):
            return {str(bucket["Name"]): bucket["CreationDate"] for bucket in found.get("Buckets", [])}

    def files(self, bucket: str, prefix: str = "") -> list[StoredFile]:
        """Return the files of a bucket; none if it does not exist."""
        return list(self._list(bucket, prefix))

    def upload(
        self,
        bucket: str,
        uploads: Sequence[Upload],
        progress: Progress = lambda _: None,
        *,
        cancelled: Cancelled = lambda: False,
        replace: bool = False,
    ) -> None:
        """Add files to a bucket, several parts at once, with constant memory.

        Files and parts that the bucket already has are not sent again, even from an upload that was interrupted long
        ago. Every checksum is compared.

        Arguments:
            bucket: an existing one.
            uploads: the files.
            progress: called with the bytes sent since the last call; negative if some must be sent again.
            cancelled: called often; the upload ends at once when it returns True.
            replace: replace files that have the name of an upload and other content.

        Raises:
            InputError: another file of that name exists, and `replace` is false; raised before anything is sent. A
                file that is created during the upload is kept, too, if the storage supports conditions.
            TransferError: names the first file that could not be sent; what was sent is kept, including parts.
        """
        work = Transfer(self._cluster, progress, cancelled, self._waits)
        missing = self._not_there_yet(bucket, uploads, work, replace=replace)
        unfinished = self._unfinished(bucket, work) if any(_is_large(upload) for upload in missing) else Unfinished({})
        begin = [
            Sending(self._client, bucket, upload, unfinished, work, self._conditions, replace=replace).begin
            for upload in missing
        ]
        work.run(begin, THREADS)

    def copy(
        self,
        bucket: str,
        copies: Sequence[StoredCopy],
        progress: Progress = lambda _: None,
        *,
        cancelled: Cancelled = lambda: False,
    ) -> None:
        """Copy files of other buckets into a bucket. The arguments are those of `upload`.

        An existing file with the same ETag was copied by an earlier attempt; one with another ETag is replaced.

        Raises:
            TransferError: names the first file that could not be copied; copied files are kept.
        """
        work = Transfer(self._cluster, progress, cancelled, self._waits)
        there = {file.key: file.etag for file in self._list(bucket, "")}
        begin = []
        for each in copies:
            if there.get(each.file.key) == each.file.etag:
                work.moved(each.file.size)
            else:
                begin.append(Copying(self._client, bucket, each, work).begin)
        work.run(begin, COPY_THREADS)

    def direct(self, bucket: str, key: str, size: int) -> DirectUpload:
        """Begin an upload whose parts a browser sends, or continue an interrupted one.

        Arguments:
            size: in bytes, at least `files.LARGE_BYTES`: smaller files have no parts.
        """
        with named(key):
            begun = self._unfinished(bucket, self._quick).of(key)
            return DirectUpload(self._client, bucket, key, size, begun, self._quick)

    def complete(self, bucket: str, uploads: Sequence[DirectUpload], *, replace: bool = False) -> None:
        """Complete uploads whose parts have all arrived.

        Raises:
            InputError: another file of that name exists, and `replace` is false; raised before any is completed.
            TransferError: names the first file that could not be completed.
        """
        there = self._there(bucket, [upload.key for upload in uploads])
        for upload in uploads:
            if not replace and upload.key in there and there[upload.key].etag != upload.etag:
                raise InputError("input-exists", field="upload", name=upload.key, bucket=bucket)
        for upload in uploads:
            with named(upload.key):
                upload.complete(replace=replace)

    def unfinished(self, bucket: str) -> list[str]:
        """Return the keys of files whose multipart upload is not complete."""
        return sorted(self._unfinished(bucket, self._quick).by_key)

    def forget_unfinished(self, bucket: str, key: str) -> None:
        """Delete the parts of all unfinished uploads of a file."""
        for upload_id in self._unfinished(bucket, self._quick).of(key):
            Multipart(self._calls, bucket, key, upload_id, self._quick).abort()

    def allow_origin(self, bucket: str, origin: str) -> None:
        """Let the page at `origin` send parts to a bucket. Ignored if the storage does not support it."""
        with contextlib.suppress(RunQarnotError):
            allow_origin(self._client, bucket, origin, self._quick)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks of at most 1 MiB."""
        with translated(self._cluster):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        with contextlib.closing(body), translated(self._cluster):
            yield from iter(lambda: body.read(_CHUNK), b"")

    def zip(self, bucket: str, files: Sequence[StoredFile], *, cancelled: Cancelled = lambda: False) -> Iterator[bytes]:
        """Yield files of a bucket as one zip; see `zip_of`."""
        return self.zip_of([StoredCopy(bucket, file) for file in files], cancelled=cancelled)

    def zip_of(self, files: Sequence[StoredCopy], *, cancelled: Cancelled = lambda: False) -> Iterator[bytes]:
        """Yield files of one or several buckets as one zip: nothing on disk, constant memory, zip64 if needed.

        Files are stored, not compressed: reading is the bottleneck, and most results are compressed formats. Each file
        is a consistent version: the current one when its turn comes.

        Raises:
            TransferError: a file could not be read; the yielded bytes are not a complete zip.
        """
        files = [each for each in files if not each.file.is_folder]
        work = Transfer(self._cluster, cancelled=cancelled, waits=self._waits)
        names = zip_paths(each.file.key for each in files)
        stream = ZipStream(compress_type=ZIP_STORED)
        pieces = (Piece(each.bucket, each.file.key) for each in files)
        with ReadAhead(self._client, pieces, work, self._cluster) as reader:
            for each in files:
                stream.add(_content(reader, each.file), names[each.file.key], size=each.file.size)
            yield from stream

    def download(
        self,
        bucket: str,
        files: Sequence[StoredFile],
        folder: Path,
        progress: Progress = lambda _: None,
        *,
        cancelled: Cancelled = lambda: False,
    ) -> list[str]:
        """Write files of a bucket below `folder`. Existing files are not overwritten, incomplete ones not named.

        Complete files of an earlier attempt are not read again, and incomplete ones are continued. The arguments are
        those of `upload`. The names are those of `paths.local_paths`.

        Returns:
            The keys of files whose checksum could not be verified: see `download`.

        Raises:
            InputError: a file with other content exists; raised before anything is written.
            TransferError: a file could not be read or written.
        """
        files = [file for file in files if not file.is_folder]
        work = Transfer(self._cluster, progress, cancelled, self._waits)
        targets = {key: folder / path for key, path in local_paths((file.key for file in files), folder).items()}
        return Saving(self._client, bucket, self._cluster, work).save(files, targets)

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address from which one file can be read without a token, for so many seconds, at most a week.

        Browsers save the file instead of showing it.
        """
        seconds = min(seconds, _MOST_PRESIGNED_SECONDS)
        with translated(self._cluster):
            parameters = {"Bucket": bucket, "Key": key, "ResponseContentDisposition": "attachment"}
            return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete files of a bucket. This cannot be undone.

        A list of keys is sent as XML. Keys that XML cannot contain are deleted one by one, because Ceph refuses a whole
        list with such a key.
        """
        listed = [key for key in keys if fits_xml(key)]
        for start in range(0, len(listed), _MOST_AT_ONCE):
            objects: DeleteTypeDef = {
                "Objects": [{"Key": key} for key in listed[start : start + _MOST_AT_ONCE]],
                "Quiet": True,
            }
            answer = self._quick.attempt(partial(self._client.delete_objects, Bucket=bucket, Delete=objects))
            for error in answer.get("Errors", []):  # despite status 200; a retry would loop forever
                said = str(error.get("Message") or error.get("Code") or "")
                message = Verbatim(said) if said else Message("without-reason")
                raise RefusedError("storage-refused", action="DeleteObjects", message=message)
        for key in keys:
            if not fits_xml(key):
                self._quick.attempt(partial(self._client.delete_object, Bucket=bucket, Key=key))

    def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket with all its content, including unfinished uploads. This cannot be undone.

        Raises:
            RefusedError: the storage refuses to delete a file.
        """
        for key, upload_ids in self._unfinished(bucket, self._quick).by_key.items():
            for upload_id in upload_ids:
                with contextlib.suppress(RefusedError):
                    Multipart(self._calls, bucket, key, upload_id, self._quick).abort()
        deleted: set[str] = set()
        while keys := [file.key for file in self._first(bucket, _MOST_AT_ONCE)]:
            if not deleted.isdisjoint(keys):
                raise RefusedError("storage-refused", action="DeleteObjects", message=Message("still-there"))
            self.delete(bucket, keys)
            deleted = set(keys)
        with translated(self._cluster), contextlib.suppress(self._calls.exceptions.NoSuchBucket):
            self._calls.delete_bucket(Bucket=bucket)

    def _first(self, bucket: str, count: int) -> list[StoredFile]:
        return [file for file, _ in zip(self._list(bucket, ""), range(count), strict=False)]

    def _list(self, bucket: str, prefix: str) -> Iterator[StoredFile]:
        marker, is_more = "", True
        while is_more:  # boto3's paginator cannot be retried: after an error it reports that there are no more pages
            asked = partial(self._calls.list_objects, Bucket=bucket, Prefix=prefix, Marker=marker)
            try:
                page = self._quick.attempt(asked)
            except RunQarnotError as error:
                if error_code(error) == "NoSuchBucket":
                    return
                raise
            with translated(self._cluster):
                files = [_stored(entry) for entry in page.get("Contents", [])]
            yield from files
            marker = files[-1].key if files else ""
            is_more = bool(page.get("IsTruncated") and page.get("Contents"))

    def _there(self, bucket: str, wanted: Sequence[str]) -> dict[str, StoredFile]:
        """Return the existing files with these keys; raise InputError for a key that cannot be stored."""
        found = {file.key: file for file in self._list(bucket, "")}
        check_folders(wanted, found)
        return {key: found[key] for key in wanted if key in found}

    def _not_there_yet(
        self, bucket: str, uploads: Sequence[Upload], work: Transfer, *, replace: bool
    ) -> Sequence[Upload]:
        """Leave out the uploads that the bucket has already."""
        there = self._there(bucket, [upload.key for upload in uploads])
        if not there:
            return uploads
        missing: list[Upload] = []
        for upload in uploads:
            try:
                is_same = upload.key in there and _is_same(upload.path, there[upload.key], work)
            except OSError as error:
                raise TransferError("upload", name=upload.key, problem=problem_of(error)) from error
            if is_same:
                work.moved(there[upload.key].size)
            elif upload.key in there and not replace:
                raise InputError("input-exists", field="upload", name=upload.key, bucket=bucket)
            else:
                missing.append(upload)
        return missing

    def _unfinished(self, bucket: str, work: Transfer) -> Unfinished:
        try:
            found = work.attempt(partial(self._list_unfinished, bucket))
        except RefusedError:
            return Unfinished({}, is_known=False)  # not allowed: everything is sent again
        except UnreachableError as error:
            if error_code(error) != _UNREADABLE:
                raise
            return Unfinished({}, is_known=False)
        by_key: dict[str, list[str]] = {}
        for _, key, upload_id in found:
            by_key.setdefault(key, []).append(upload_id)
        return Unfinished(by_key)

    def _list_unfinished(self, bucket: str) -> list[tuple[datetime, str, str]]:
        """Return the start, the key and the id of each, the newest first.

        boto3's paginator cannot be used: Ceph encodes the keys of uploads, but not the key at which a page ends.
        """
        found: list[tuple[datetime, str, str]] = []
        behind: _Behind = {}
        while True:
            page = self._calls.list_multipart_uploads(Bucket=bucket, EncodingType="url", **behind)
            uploads = page.get("Uploads", [])
            found += [(each["Initiated"], unquote(each["Key"]), each["UploadId"]) for each in uploads]
            if not page.get("IsTruncated") or not uploads:
                return sorted(found, reverse=True)
            _, key, upload_id = found[-1]
            behind = {"KeyMarker": key, "UploadIdMarker": upload_id}


def _stored(entry: ObjectTypeDef) -> StoredFile:
    return StoredFile(entry["Key"], entry["Size"], entry["LastModified"], entry["ETag"].strip('"'))


def _is_large(upload: Upload) -> bool:
    return upload.path.is_file() and has_parts(upload.path.stat().st_size)


def _is_same(path: Path, stored: StoredFile, work: Transfer) -> bool:
    if path.stat().st_size != stored.size:
        return False
    return checksum_of(path, stored.etag, stored.size, work.check).matches() is True


def _content(reader: ReadAhead, file: StoredFile) -> Iterator[bytes]:
    try:
        with reader.next() as piece:
            yield from piece.chunks(reader.work)
    except GivenUpError:
        raise
    except ReplacedError as error:
        problem = Message("replaced-while-read")
        raise TransferError("download", name=file.key, problem=problem) from error
    except RunQarnotError as error:
        raise TransferError("download", name=file.key, problem=problem_of(error)) from error
