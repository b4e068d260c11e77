"""Reads files from a bucket ahead of their use, in order, by several threads and with bounded memory.

A body that breaks off is continued at that place, from the same version of the object (If-Match). If the object is
replaced meanwhile, that is an error; versions are never mixed.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import ClientError

from run_qarnot.cloud.s3.etag import Checksum, is_encrypted
from run_qarnot.cloud.s3.transfer import BrokenError, Transfer, is_passing, our_error
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Message

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WRONG_CHECKSUM = Message("received-checksum")
CHUNK_BYTES = 256 << 10
READERS = 4
_AHEAD = 6  # pieces that are read or waiting to be taken
_HELD_BYTES = 4 << 20  # of a piece that is not taken yet; then its reader waits: at most 24 MiB in total
_PRECONDITION_FAILED = 412
_PARTIAL_CONTENT = 206


class ReplacedError(Exception):
    """The object was replaced."""


class _Asked(TypedDict, total=False):
    """The parameters of a request for an object, as S3 names them."""

    IfMatch: str
    Range: str


class Piece:
    """An object, or a range of one, that is read. A whole object is compared with its ETag, if that is an MD5."""

    def __init__(self, bucket: str, key: str, etag: str = "", start: int = 0, size: int | None = None) -> None:
        self.bucket = bucket
        self.key = key
        self.etag = etag  # of the version to read; empty: the current one
        self.start = start
        self.size = size  # None: to the end
        self._checksum: Checksum | None = None
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._received = 0
        self._is_whole = False
        self._is_dropped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    # — the reader's side —

    def fetch(self, client: S3Client, work: Transfer, cluster: str) -> None:
        """Read it to its end. An error is raised where the chunks are taken."""
        try:
            self._fetch(client, work, cluster)
        except BaseException as error:  # raised where the chunks are taken  # noqa: BLE001
            self._end(error)
        else:
            self._end(None)

    def _fetch(self, client: S3Client, work: Transfer, cluster: str) -> None:
        failures = 0
        while True:
            before = self._received
            work.check()
            if self._is_dropped:  # while it waited for a retry: it is not needed any more
                raise ReplacedError(self.key)
            try:
                self._read(client, work)
            except ClientError as error:
                work.check()
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _PRECONDITION_FAILED:
                    raise ReplacedError(self.key) from error
                problem = our_error(error, cluster)
            except (RunQarnotError, ReplacedError):
                raise
            except Exception as error:  # any error of the network: the table of `translate` decides  # noqa: BLE001
                work.check()
                problem = our_error(error, cluster)
            else:
                return
            failures = 1 if self._received > before else failures + 1
            if not is_passing(problem) or failures == work.attempts:
                raise problem
            work.pause_before(failures - 1)

    def _read(self, client: S3Client, work: Transfer) -> None:
        first = self.start + self._received
        asked: _Asked = {"IfMatch": f'"{self.etag}"'} if self.etag else {}
        if self.size is not None or first:
            last = "" if self.size is None else self.start + self.size - 1
            asked["Range"] = f"bytes={first}-{last}"
        answer = client.get_object(Bucket=self.bucket, Key=self.key, **asked)
        with contextlib.closing(answer["Body"]) as body:
            if "Range" in asked and answer["ResponseMetadata"]["HTTPStatusCode"] != _PARTIAL_CONTENT and first:
                raise BrokenError(Message("other-part"))
            self.etag = str(answer.get("ETag", "")).strip('"')
            if self.size is None:
                self.size = answer["ContentLength"]  # of the whole: nothing was received yet
                if (checksum := Checksum(self.etag, self.size)).is_plain and not is_encrypted(answer):
                    self._checksum = checksum
            while self._received < self.size:
                chunk = body.read(min(CHUNK_BYTES, self.size - self._received))
                if not chunk:
                    raise BrokenError(Message("broke-off"))
                if self._checksum:
                    self._checksum.update(chunk)
                self._put(chunk, work)
            if self._checksum and not self._checksum.matches():
                raise RunQarnotError("broken", problem=WRONG_CHECKSUM)

    def _put(self, chunk: bytes, work: Transfer) -> None:
        with self._changed:
            while self._held >= _HELD_BYTES and not self._is_dropped:
                self._changed.wait(0.5)
                work.check()
            if self._is_dropped:
                raise ReplacedError(self.key)
            self._chunks.append(chunk)
            self._held += len(chunk)
            self._received += len(chunk)
            self._changed.notify_all()

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._error, self._is_whole = error, error is None
            self._changed.notify_all()

    # — the taker's side —

    def drop(self) -> None:
        """Discard the rest; its reader ends."""
        with self._changed:
            self._is_dropped = True
            self._chunks.clear()
            self._changed.notify_all()

    def chunks(self, work: Transfer) -> Iterator[bytes]:
        """Yield the content as it arrives, to its last byte.

        Raises:
            ReplacedError: the object was replaced meanwhile.
            RunQarnotError: it could not be read; what was yielded is not complete.
        """
        while True:
            with self._changed:
                while not self._chunks:
                    if self._is_whole:
                        return
                    if self._error is not None:
                        raise self._error
                    self._changed.wait(0.05)
                    work.check()
                chunk = self._chunks.popleft()
                self._held -= len(chunk)
                self._changed.notify_all()
            work.check()
            yield chunk


class ReadAhead:
    """Reads pieces before they are needed, a few at a time. It must be closed, or its threads wait forever."""

    def __init__(self, client: S3Client, pieces: Iterable[Piece], work: Transfer, cluster: str) -> None:
        self._client = client
        self.work = work.part()
        self._cluster = cluster
        self._coming = iter(pieces)
        self._open: deque[Piece] = deque()  # begun, in order, and not yet taken
        self._begun = 0
        self._is_closed = False
        self._changed = threading.Condition()
        for number in range(READERS):
            threading.Thread(target=self._run, name=f"reader-{number}", daemon=True).start()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self.work.stop()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def next(self) -> Iterator[Piece]:
        """Return the next piece for the block; afterwards its reader continues with another one."""
        with self._changed:
            while not self._open:
                self._changed.wait(0.05)
                self.work.check()
            piece = self._open[0]
        try:
            yield piece
        finally:
            piece.drop()
            with self._changed:
                self._open.popleft()
                self._changed.notify_all()

    def _run(self) -> None:
        while (piece := self._begin()) is not None:
            piece.fetch(self._client, self.work, self._cluster)

    def _begin(self) -> Piece | None:
        with self._changed:
            while not self._is_closed and len(self._open) >= _AHEAD:
                self._changed.wait()
            piece = None if self._is_closed else next(self._coming, None)
            if piece is not None:
                self._open.append(piece)
                self._changed.notify_all()
            return piece
