"""Buckets: what the engine needs of the storage. Everything here blocks; the client may be used by several threads.

Uploads only ever add. Nothing here mirrors, and nothing deletes but what says so in its name (`design.md` §2.1).
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
_MOST_AT_ONCE = 1000  # that S3 deletes
_MOST_PRESIGNED_SECONDS = 7 * 24 * 3600  # S3's rule; Ceph refuses an address that is signed for longer
_NOT_FOUND, _FORBIDDEN = "404", "403"  # the answer to a HEAD has no other code
_UNREADABLE = "500"  # botocore's code for an answer that is no XML; a failure of the server has a code of its own
_QUICK_WAITS = (0.2, 0.6)  # for calls that somebody waits for


class _Behind(TypedDict, total=False):
    """The last unfinished upload of a page of them, by the storage's own names."""

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
            client: to move files.
            cluster: the address, for the sentences of errors.
            waits: seconds before each further attempt to move something.
            calls: for calls with small answers, that somebody waits for; the same when left out.
            conditional_puts: the storage itself refuses to replace a file.
        """
        self._client = client
        self._calls = client if calls is None else calls
        self._cluster = cluster
        self._waits = waits
        self._conditions = Conditions(are_kept=conditional_puts)
        self._quick = Transfer(cluster, waits=_QUICK_WAITS)
        # botocore's own attempts sleep where nobody can wake them; those of `Work` end when the user says so.
        for each in (client, self._calls):
            each.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")
            accept_any_key(each)
        count_what_is_sent(client)

    def create(self, bucket: str, owner: str) -> None:
        """Make a bucket unless the account has it already.

        It is looked for first: once the account has as many buckets as it may have, Ceph refuses to make even one that
        is there (`reference/storage-ceph.md`).

        It is tagged as the session's: a name alone proves nothing once the session is forgotten. Nobody outside Qarnot
        knows whether its storage takes tags, as Ceph does; without them the bucket is merely never found as left over.

        Arguments:
            bucket: its name.
            owner: the name of its session.

        Raises:
            InputError: it belongs to another account.
        """
        if bucket not in self.buckets():
            try:
                self._quick.attempt(lambda: self._calls.create_bucket(Bucket=bucket))
            except RefusedError as error:
                if error_code(error) == "BucketAlreadyExists":
                    raise InputError("bucket-foreign", field="name", bucket=bucket) from error
                if bucket not in self.buckets():  # else it was made by a call whose answer was lost
                    raise
        tags: list[TagTypeDef] = [{"Key": OWNER_TAG, "Value": owner}]
        with contextlib.suppress(RunQarnotError):
            self._quick.attempt(lambda: self._calls.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags}))

    def is_foreign(self, bucket: str) -> bool:
        """Whether a bucket belongs to another account: all accounts of a storage share its names.

        Arguments:
            bucket: not one of `buckets`.
        """
        try:
            self._quick.attempt(lambda: self._calls.head_bucket(Bucket=bucket))
        except RefusedError as error:
            if error_code(error) not in {_NOT_FOUND, _FORBIDDEN}:
                raise
            return error_code(error) == _FORBIDDEN
        return True  # its owner lets everybody look

    def owner(self, bucket: str) -> str | None:
        """Return the session whose bucket this is, by its tag; None if it has none, or nobody can tell."""
        with contextlib.suppress(RefusedError):  # such as NoSuchTagSet
            answer = self._quick.attempt(lambda: self._calls.get_bucket_tagging(Bucket=bucket))
            return next((str(tag["Value"]) for tag in answer["TagSet"] if tag["Key"] == OWNER_TAG), None)
        return None

    def last_upload(self, bucket: str) -> datetime | None:
        """Return when the last part of an upload that was neither completed nor aborted came; None without any.

        Raises:
            RefusedError: the storage does not list unfinished uploads, so nobody can tell.
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
        """Return the names of all buckets of the account, and when each was made."""
        found = self._quick.attempt(self._calls.list_buckets)
        with translated(self._cluster):
            return {str(bucket["Name"]): bucket["CreationDate"] for bucket in found.get("Buckets", [])}

    def files(self, bucket: str, prefix: str = "") -> list[StoredFile]:
        """Return the files of a bucket; a bucket that does not exist has none."""
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
        """Add files to a bucket, several parts at once, with the same memory whatever their sizes.

        What the bucket has already is not sent again: neither whole files, nor parts of an upload that was broken off,
        however long ago. Every checksum is compared.

        Arguments:
            bucket: it exists.
            uploads: the files.
            progress: is told bytes as they are sent; less than zero when some have to be sent again.
            cancelled: is asked often; the first time that it says yes ends the upload at once.
            replace: what stands there under the name of an upload, with other content, is replaced.

        Raises:
            InputError: another file of that name is there, and `replace` is false; said before anything is sent. One
                that comes later stays, too: it is found by the storage itself, when ours arrives.
            TransferError: names the first file that could not be moved; what was moved stays, parts too.
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

        What stands there under the same name with the same ETag was copied by an earlier attempt; what has another one
        is replaced.

        Raises:
            TransferError: names the first file that could not be copied; what was copied stays.
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
        """Begin an upload whose parts a browser sends itself, or go on with one that was broken off.

        Arguments:
            size: in bytes, at least `parts.PART_BYTES`: a smaller file has no parts.
        """
        with named(key):
            begun = self._unfinished(bucket, self._quick).of(key)
            return DirectUpload(self._client, bucket, key, size, begun, self._quick)

    def complete(self, bucket: str, uploads: Sequence[DirectUpload], *, replace: bool = False) -> None:
        """Make files of uploads whose parts have all arrived.

        Raises:
            InputError: another file of that name is there, and `replace` is false; said before anything is made.
            TransferError: names the first that could not be made.
        """
        there = self._there(bucket, [upload.key for upload in uploads])
        for upload in uploads:
            if not replace and upload.key in there and there[upload.key].etag != upload.etag:
                raise InputError("input-exists", field="upload", name=upload.key, bucket=bucket)
        for upload in uploads:
            with named(upload.key):
                upload.complete(replace=replace)

    def unfinished(self, bucket: str) -> list[str]:
        """Return the names of files whose upload in parts was begun and not completed."""
        return sorted(self._unfinished(bucket, self._quick).by_key)

    def forget_unfinished(self, bucket: str, key: str) -> None:
        """Free the parts of all unfinished uploads of a file."""
        for upload_id in self._unfinished(bucket, self._quick).of(key):
            Multipart(self._calls, bucket, key, upload_id, self._quick).abort()

    def allow_origin(self, bucket: str, origin: str) -> None:
        """Let the page at `origin` send parts to a bucket; where the storage does not have it, nothing happens."""
        with contextlib.suppress(RunQarnotError):
            allow_origin(self._client, bucket, origin, self._quick)

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks of at most 1 MiB."""
        with translated(self._cluster):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        with contextlib.closing(body), translated(self._cluster):
            yield from iter(lambda: body.read(_CHUNK), b"")

    def zip(self, bucket: str, files: Sequence[StoredFile], *, cancelled: Cancelled = lambda: False) -> Iterator[bytes]:
        """Yield files of a bucket as one zip: nothing on disk, constant memory, zip64 where it is needed.

        Stored, not compressed: reading is the limit, and most results are compressed formats already. Each file is the
        version that stands there when its turn comes, whole.

        Raises:
            TransferError: a file could not be read; what was yielded is no zip.
        """
        files = [file for file in files if not file.is_folder]
        work = Transfer(self._cluster, cancelled=cancelled, waits=self._waits)
        names = zip_paths(file.key for file in files)
        stream = ZipStream(compress_type=ZIP_STORED)
        with ReadAhead(self._client, (Piece(bucket, file.key) for file in files), work, self._cluster) as reader:
            for file in files:
                stream.add(_content(reader, file), names[file.key], size=file.size)
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
        """Write files of a bucket below `folder`. Nothing that exists is overwritten, nothing incomplete has its name.

        A file that an earlier attempt has brought is not read again, and one that it has begun is gone on with. The
        arguments are those of `upload`. A file gets the name that `paths.local_paths` says.

        Returns:
            The keys of files whose checksum could not be confirmed: see `saving`.

        Raises:
            InputError: a file is there already, with other content; said before anything is written.
            TransferError: a file could not be read or written.
        """
        files = [file for file in files if not file.is_folder]
        work = Transfer(self._cluster, progress, cancelled, self._waits)
        targets = {key: folder / path for key, path in local_paths((file.key for file in files), folder).items()}
        return Saving(self._client, bucket, self._cluster, work).save(files, targets)

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address that gives one file, without a token, for so many seconds, a week at most.

        Browsers save the file instead of showing it.
        """
        seconds = min(seconds, _MOST_PRESIGNED_SECONDS)
        with translated(self._cluster):
            parameters = {"Bucket": bucket, "Key": key, "ResponseContentDisposition": "attachment"}
            return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete files of a bucket. There is no way back.

        A list of keys is sent as XML. Those that XML cannot hold are deleted one by one: Ceph refuses a list as a whole
        if one of them is in it.
        """
        listed = [key for key in keys if fits_xml(key)]
        for start in range(0, len(listed), _MOST_AT_ONCE):
            objects: DeleteTypeDef = {
                "Objects": [{"Key": key} for key in listed[start : start + _MOST_AT_ONCE]],
                "Quiet": True,
            }
            answer = self._quick.attempt(partial(self._client.delete_objects, Bucket=bucket, Delete=objects))
            for error in answer.get("Errors", []):  # a 200 all the same; asking again would never end
                said = str(error.get("Message") or error.get("Code") or "")
                message = Verbatim(said) if said else Message("without-reason")
                raise RefusedError("storage-refused", action="DeleteObjects", message=message)
        for key in keys:
            if not fits_xml(key):
                self._quick.attempt(partial(self._client.delete_object, Bucket=bucket, Key=key))

    def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket with all that is in it, unfinished uploads too. There is no way back.

        Raises:
            RefusedError: the storage does not delete a file.
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
        while is_more:  # boto3's own paginator has no second attempt: after an error it says that nothing follows
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
        """Return what stands under the names of files to come; raise InputError for one that cannot stand there."""
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
            return Unfinished({}, is_known=False)  # not allowed: everything is sent anew
        except UnreachableError as error:
            if error_code(error) != _UNREADABLE:
                raise
            return Unfinished({}, is_known=False)
        by_key: dict[str, list[str]] = {}
        for _, key, upload_id in found:
            by_key.setdefault(key, []).append(upload_id)
        return Unfinished(by_key)

    def _list_unfinished(self, bucket: str) -> list[tuple[datetime, str, str]]:
        """Return when each was begun, its key and its id; the newest first.

        boto3's own pages cannot be used: Ceph encodes the keys of uploads, but not the key at which a page ends.
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
