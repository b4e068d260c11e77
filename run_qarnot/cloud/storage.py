"""Buckets: what the engine needs of the storage. Everything here blocks; the client may be used by several threads.

Uploads only ever add. Nothing here mirrors, and nothing deletes but `delete_bucket` (`design.md` §2.1).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from zipstream import ZIP_STORED, ZipStream

from run_qarnot.cloud.translate import translated
from run_qarnot.errors import InputError, RunQarnotError, TransferError
from run_qarnot.files import StoredFile, Upload, safe_paths

_CHUNK = 1 << 20
_PARALLEL_FILES = 4
_TRANSFER = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20, max_concurrency=4)

Progress = Callable[[int], None]  # told the number of bytes that were moved since the last call


class Storage:
    """The buckets of one account."""

    def __init__(self, client: Any, cluster: str) -> None:
        self._client = client
        self._cluster = cluster

    def create(self, bucket: str) -> None:
        """Make a bucket; one's own existing bucket is fine (`reference/qarnot-platform.md` §0.10)."""
        with translated(self._cluster):
            self._client.create_bucket(Bucket=bucket)

    def files(self, bucket: str, prefix: str = "") -> list[StoredFile]:
        """Return the files of a bucket; a bucket that does not exist has none."""
        return list(self._list(bucket, prefix))

    def is_empty(self, bucket: str) -> bool:
        """Whether nothing is in the bucket, or it does not exist."""
        return next(self._list(bucket, ""), None) is None

    def upload(self, bucket: str, uploads: Sequence[Upload], progress: Progress = lambda _: None) -> None:
        """Add files to a bucket, several at once, in parts of 8 MiB.

        Raises:
            TransferError: names the first file that could not be moved; what was moved stays.
        """
        with ThreadPoolExecutor(_PARALLEL_FILES, thread_name_prefix="upload") as pool:
            futures = [pool.submit(self._upload, bucket, upload, progress) for upload in uploads]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def read(self, bucket: str, key: str) -> Iterator[bytes]:
        """Yield the content of a file in chunks of at most 1 MiB."""
        with translated(self._cluster):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
        with contextlib.closing(body), translated(self._cluster):
            yield from iter(lambda: body.read(_CHUNK), b"")

    def zip(self, bucket: str, files: Sequence[StoredFile]) -> Iterator[bytes]:
        """Yield files of a bucket as one zip: nothing on disk, constant memory, zip64 where it is needed.

        Stored, not compressed: reading is the limit, and most results are compressed formats already.
        """
        stream = ZipStream(compress_type=ZIP_STORED)
        names = safe_paths(file.key for file in files)
        for file in files:
            stream.add(self.read(bucket, file.key), names[file.key], size=file.size)
        yield from stream

    def download(
        self, bucket: str, files: Sequence[StoredFile], folder: Path, progress: Progress = lambda _: None
    ) -> None:
        """Write files of a bucket below `folder`. Nothing that exists is overwritten, nothing incomplete is kept.

        Raises:
            InputError: a file is there already; said before anything is written.
            TransferError: a file could not be read or written.
        """
        names = safe_paths(file.key for file in files)
        targets = {file.key: folder / names[file.key] for file in files}
        for target in targets.values():
            if target.exists():
                raise InputError("output-exists", path=target)
        for file in files:
            self._download(bucket, file, targets[file.key], progress)

    def presign(self, bucket: str, key: str, seconds: int) -> str:
        """Return an address that gives one file, without a token, for so many seconds."""
        with translated(self._cluster):
            parameters = {"Bucket": bucket, "Key": key}
            return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def delete_bucket(self, bucket: str) -> None:
        """Delete a bucket with all that is in it. There is no way back."""
        with translated(self._cluster):
            for start in iter(lambda: [{"Key": file.key} for file in self._first(bucket, 1000)], []):
                self._client.delete_objects(Bucket=bucket, Delete={"Objects": start, "Quiet": True})
            with contextlib.suppress(self._client.exceptions.NoSuchBucket):
                self._client.delete_bucket(Bucket=bucket)

    def _first(self, bucket: str, count: int) -> list[StoredFile]:
        return [file for file, _ in zip(self._list(bucket, ""), range(count), strict=False)]

    def _list(self, bucket: str, prefix: str) -> Iterator[StoredFile]:
        pages = self._client.get_paginator("list_objects").paginate(Bucket=bucket, Prefix=prefix)
        with translated(self._cluster):
            try:
                for page in pages:
                    for entry in page.get("Contents", []):
                        yield StoredFile(entry["Key"], entry["Size"], entry["LastModified"])
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchBucket":
                    raise

    def _upload(self, bucket: str, upload: Upload, progress: Progress) -> None:
        try:
            with translated(self._cluster):
                self._client.upload_file(str(upload.path), bucket, upload.key, Callback=progress, Config=_TRANSFER)
        except RunQarnotError as error:
            raise TransferError("upload", name=upload.key, problem=_upload_problem(error)) from error

    def _download(self, bucket: str, file: StoredFile, target: Path, progress: Progress) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".partial-", delete=False) as partial:
                try:
                    for chunk in self.read(bucket, file.key):
                        partial.write(chunk)
                        progress(len(chunk))
                    partial.close()
                    shutil.move(partial.name, target)
                except BaseException:
                    Path(partial.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise TransferError("write", path=target, problem=error.strerror or "unknown") from error
        except RunQarnotError as error:
            raise TransferError("download", name=file.key, problem=error.what) from error


def _upload_problem(error: RunQarnotError) -> str:
    cause = error.__cause__
    if isinstance(cause, S3UploadFailedError):
        inner = cause.__cause__ or cause.__context__
        return str(inner or cause)
    return str(cause) if isinstance(cause, OSError) else error.what
