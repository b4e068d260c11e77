"""The S3 side (`reference/qarnot-platform.md` §4): moto's state as an ASGI application, and direct access for tasks."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.s3.models import FakeDeleteMarker, S3Backend, s3_backends

from qarnot_local.access import Access
from qarnot_local.control.faults import Faults
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.s3.app import StorageApp
from qarnot_local.s3.cors import CorsRule
from qarnot_local.s3.delete import delete_objects
from qarnot_local.s3.disk import Disk
from qarnot_local.s3.listing import begun_at, listing
from qarnot_local.s3.middleware import StorageMiddleware
from qarnot_local.s3.operations import Asked
from qarnot_local.s3.parts import Parts
from qarnot_local.s3.read import pieces


class _NoAccounts(dict[str, tuple[str, str]]):
    """Replaces moto's record of bucket owners: two clusters in one process may have buckets of the same name."""

    def __setitem__(self, *_: object) -> None:
        """Nothing is recorded."""


s3_backends.bucket_accounts = _NoAccounts()


class QuotaError(Exception):
    """A storage quota of the account is exceeded."""


@dataclass(frozen=True)
class StoredObject:
    bucket: str
    key: str
    etag: str
    size: int


class ObjectStorage:
    """Buckets and objects. Each instance has its own account inside moto, whose state is global to the process."""

    def __init__(
        self,
        access: Access,
        faults: Faults,
        quotas: Quotas,
        work: Path,
        folder: Path | None = None,
    ) -> None:
        self._account = f"{random.randrange(10**11, 10**12)}"  # noqa: S311 - a name, not a secret
        self._disk = Disk(folder, self._backend) if folder else None
        self._quotas = quotas
        self._making = threading.Lock()
        self._counting = threading.Lock()
        self._at_most = math.inf  # bytes that are stored
        self._parts = Parts(work / "parts")
        self.foreign: set[str] = set()  # names of buckets that belong to other accounts
        self.app = StorageMiddleware(StorageApp(self, self._account, access, self._disk, self._parts), faults)

    @property
    def _backend(self) -> S3Backend:
        backend: S3Backend = s3_backends[self._account]["aws"]
        return backend

    def start(self) -> None:
        """Load what was kept on disk."""
        if self._disk:
            self._disk.load()

    def stop(self) -> None:
        """Forget everything, after the last answer."""
        self.app.close()
        backend = self._backend
        for bucket in list(backend.buckets.values()):
            for key in bucket.keys.values():
                with contextlib.suppress(AttributeError):  # a delete marker has nothing to dispose of
                    key.dispose()
        backend.buckets.clear()
        s3_backends.pop(self._account, None)

    def find(self, bucket: str, key: str) -> Any:
        """moto's own record of an object, or None."""
        found = self._backend.buckets.get(bucket)
        stored = found.keys.get(key) if found else None
        return None if isinstance(stored, FakeDeleteMarker) else stored

    def cors_of(self, bucket: str) -> list[CorsRule]:
        """The bucket's rules for pages of other origins; none for a bucket that does not exist."""
        found = self._backend.buckets.get(bucket)
        return [CorsRule.of_moto(rule) for rule in found.cors] if found else []

    def upload(self, bucket: str, name: str) -> Any:
        """moto's own record of an unfinished upload in parts, or None."""
        found = self._backend.buckets.get(bucket)
        return found.multiparts.get(name) if found else None

    def note_uploads(self, bucket: str) -> None:
        """Have each unfinished upload know when it began."""
        if found := self._backend.buckets.get(bucket):
            for upload in list(found.multiparts.values()):
                begun_at(upload)

    def has_bucket(self, name: str) -> bool:
        return name in self._backend.buckets

    def is_foreign(self, bucket: str) -> bool:
        return bucket in self.foreign

    def has_versions(self, bucket: str) -> bool:
        found = self._backend.buckets.get(bucket)
        return bool(found and found.versioning_status)

    def may_have_another_bucket(self) -> bool:
        return len(self._backend.buckets) < self._quotas.buckets

    def make_bucket(self, name: str) -> None:
        with self._making:
            if self.has_bucket(name):
                return
            if not self.may_have_another_bucket():
                raise QuotaError(f"The account has all the buckets that it may: {name} was not made.")
            if self.is_foreign(name):
                raise QuotaError(f"The bucket {name} belongs to another account.")
            self._backend.create_bucket(name, "us-east-1")
            if self._disk:
                self._disk.keep_bucket(name)

    def listing(self, asked: Asked) -> bytes:
        """One page of what is in a bucket that there is."""
        return listing(self._backend, asked)

    def delete(self, bucket: str, body: bytes) -> bytes | None:
        """Delete what is listed, and answer; None when the list cannot be read."""
        return delete_objects(self._backend, bucket, body)

    def usage_of(self, bucket: str) -> tuple[int, int]:
        """How many objects are in a bucket, and their size."""
        found = self._backend.buckets.get(bucket)
        sizes = list(map(_size, found.keys.values())) if found else []
        return len(sizes), sum(sizes)

    def usage(self) -> tuple[int, int]:
        """How many buckets there are, and how many bytes in them, unfinished uploads too."""
        buckets = list(self._backend.buckets.values())
        size = sum(_size(key) for bucket in buckets for key in bucket.keys.values())
        uploads = [upload for bucket in buckets for upload in list(bucket.multiparts.values())]
        size += sum(part.size for upload in uploads for part in list(upload.parts.values()))
        return len(buckets), size

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes may be stored; if so, they are counted as stored.

        Counting all objects is slow: it is done only when the bytes counted since could exceed the quota.
        """
        with self._counting:
            if self._at_most + size > self._quotas.bytes:
                self._at_most = self.usage()[1]
            may = self._at_most + size <= self._quotas.bytes
            self._at_most += size if may else 0
            return may

    def objects(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        for name, key in sorted(self._backend.buckets[bucket].keys.items()):
            if name.startswith(prefix):
                yield StoredObject(bucket, name, key.etag, key.size)

    def read(self, stored: StoredObject, target: Path) -> bool:
        """Write an object into a file; False when it was deleted since it was listed."""
        key = self.find(stored.bucket, stored.key)
        if key is None:
            return False
        with target.open("wb") as file:
            file.writelines(pieces(key, 0, key.size - 1))
        return True

    def write(self, bucket: str, key: str, path: Path) -> int:
        """Store a file; return its size."""
        size = path.stat().st_size
        if not self.has_room(size):
            raise QuotaError("The storage quota is full.")
        with path.open("rb") as file:
            content = self._parts.receive(file, size)
        stored = self._backend.put_object(bucket, key, content, etag=content.md5, disable_notification=True)
        content.put_into(stored)
        if self._disk:
            self._disk.keep(bucket, key)
        return size


def _size(key: Any) -> int:
    return getattr(key, "size", 0)  # a delete marker has none
