"""Downloads files of a bucket. A file gets its name only when it is complete and its checksum is verified.

An incomplete file is stored beside its target as `.partial-…`, named after the version of the object, so that the next
attempt continues it. It is a prefix of the object: pieces are read ahead in parallel and written in order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from run_qarnot.cloud.s3.etag import PART_BYTES, Checksum, checksum_of, is_encrypted
from run_qarnot.cloud.s3.read_ahead import WRONG_CHECKSUM, Piece, ReadAhead, ReplacedError
from run_qarnot.cloud.s3.transfer import GivenUpError, Transfer, problem_of
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError
from run_qarnot.core.messages import Message
from run_qarnot.model.files import StoredFile, publish

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ROUNDS = 3  # attempts per file when it is replaced meanwhile or arrives damaged


class _OtherError(Exception):
    """The received content differs from the stored one."""


@dataclass
class _Plan:
    file: StoredFile
    target: Path
    partial: Path
    have: int

    def pieces(self, bucket: str) -> list[Piece]:
        file = self.file
        return [
            Piece(bucket, file.key, file.etag, start, min(PART_BYTES, file.size - start))
            for start in range(self.have, file.size, PART_BYTES)
        ]


class Saving:
    """The download of some files of one bucket."""

    def __init__(self, client: S3Client, bucket: str, cluster: str, work: Transfer) -> None:
        self._client = client
        self._bucket = bucket
        self._cluster = cluster
        self._work = work
        self._targets: dict[str, Path] = {}
        self._taken: frozenset[Path] = frozenset()
        self._etags: dict[str, tuple[str, ...]] = {}  # checksums of the previous attempt, if they were wrong
        self._encrypted: set[str] = set()  # their ETags are no MD5
        self._unconfirmed: list[str] = []

    def save(self, files: Sequence[StoredFile], targets: dict[str, Path]) -> list[str]:
        """Write the files; return the keys of those whose checksum could not be verified.

        Raises:
            InputError: a file with other content exists; raised before anything is written.
            TransferError: a file could not be read or written.
        """
        self._targets, self._taken = targets, frozenset(targets.values())
        missing = [file for file in files if not self._is_there(file)]
        for number in range(1, _ROUNDS + 1):
            missing = self._round(missing, is_last=number == _ROUNDS)
            missing = [self._refreshed(file) for file in missing]
        self._work.tell()
        return self._unconfirmed

    def _is_there(self, file: StoredFile) -> bool:
        """Whether an earlier attempt has completed this file."""
        target = self._targets[file.key]
        if not os.path.lexists(target):
            return False
        if target.is_file() and target.stat().st_size == file.size and file.etag:
            checksum = checksum_of(target, file.etag, file.size, self._work.check)
            if checksum.matches():
                self._work.moved(file.size)
                return True
        raise InputError("output-exists", path=target)

    def _round(self, files: Sequence[StoredFile], *, is_last: bool) -> list[StoredFile]:
        """Try all files; return those that must be started again."""
        again: list[StoredFile] = []
        plans = [self._plan(file) for file in files]
        with ReadAhead(
            self._client, (piece for plan in plans for piece in plan.pieces(self._bucket)), self._work, self._cluster
        ) as reader:
            for plan in plans:
                pieces = len(plan.pieces(self._bucket))
                taken = 0

                def contents(count: int = pieces) -> Iterator[bytes]:
                    nonlocal taken
                    for _ in range(count):
                        with reader.next() as piece:
                            taken += 1
                            yield from piece.chunks(reader.work)

                try:
                    with self._named(plan):
                        self._write(plan, contents())
                except (ReplacedError, _OtherError) as error:
                    if is_last:
                        is_other = isinstance(error, _OtherError)
                        problem = WRONG_CHECKSUM if is_other else Message("replaced-repeatedly")
                        raise TransferError("download", name=plan.file.key, problem=problem) from error
                    again.append(plan.file)
                    for _ in range(pieces - taken):
                        with reader.next():
                            pass
        return again

    def _plan(self, file: StoredFile) -> _Plan:
        target = self._targets[file.key]
        beginning = f".partial-{_short(file.key)}-"
        partial = target.parent / f"{beginning}{_short(f'{file.etag} {file.size}')}"
        while partial in self._taken:  # a file of the bucket may have this name on purpose
            partial = partial.with_name(f"{partial.name}_")
        try:
            have = min(partial.stat().st_size, file.size) if file.etag and partial.is_file() else 0
        except OSError:
            have = 0
        return _Plan(file, target, partial, have)

    def _write(self, plan: _Plan, contents: Iterator[bytes]) -> None:
        file, written = plan.file, plan.have
        try:
            plan.target.parent.mkdir(parents=True, exist_ok=True)
            self._forget_older(plan.partial)
            checksum = Checksum(file.etag, file.size)
            if plan.have:
                checksum = checksum_of(plan.partial, file.etag, file.size, self._work.check, end=plan.have)
                self._work.moved(plan.have)
            with plan.partial.open("r+b" if plan.have else "wb") as partial:
                partial.truncate(plan.have)
                partial.seek(plan.have)
                with contextlib.closing(contents):  # type: ignore[type-var]  # it is a generator
                    for chunk in contents:
                        partial.write(chunk)
                        checksum.update(chunk)
                        written += len(chunk)
                        self._work.moved(len(chunk))
            self._compare(file, checksum)
            publish(plan.partial, plan.target)
        except (ReplacedError, _OtherError):
            self._work.moved(-written)
            plan.partial.unlink(missing_ok=True)
            raise
        except RunQarnotError:
            if file.size < PART_BYTES or not file.etag:  # too small to be continued, or without a version
                plan.partial.unlink(missing_ok=True)
            raise
        except OSError:
            with contextlib.suppress(OSError):
                plan.partial.unlink(missing_ok=True)  # hidden files must not keep a full disk full
            raise

    def _forget_older(self, partial: Path) -> None:
        """Remove incomplete downloads of other versions of the same file."""
        beginning = partial.name.rsplit("-", 1)[0]
        for other in partial.parent.glob(f"{beginning}-*"):
            if other != partial and other not in self._taken:
                other.unlink(missing_ok=True)

    def _compare(self, file: StoredFile, checksum: Checksum) -> None:
        """Download a file with a wrong checksum once more.

        If the same bytes arrive again, a plain MD5 still means an error. The checksum of an object in parts does not:
        the size of its parts is a guess, and a wrong guess must not make a result inaccessible.
        """
        if checksum.matches() is not False or file.key in self._encrypted:
            return
        if self._etags.get(file.key) != checksum.etags or checksum.is_plain:
            self._etags[file.key] = checksum.etags
            raise _OtherError(file.key)
        self._unconfirmed.append(file.key)

    def _refreshed(self, file: StoredFile) -> StoredFile:
        def head() -> StoredFile:
            answer = self._client.head_object(Bucket=self._bucket, Key=file.key)
            if is_encrypted(answer):
                self._encrypted.add(file.key)
            etag = str(answer.get("ETag", "")).strip('"')
            return StoredFile(file.key, answer["ContentLength"], answer["LastModified"], etag)

        try:
            return self._work.attempt(head)
        except GivenUpError:
            raise
        except RunQarnotError as error:
            raise TransferError("download", name=file.key, problem=problem_of(error)) from error

    @contextlib.contextmanager
    def _named(self, plan: _Plan) -> Iterator[None]:
        """Turn errors of the block into errors that name the file."""
        try:
            yield
        except OSError as error:
            raise TransferError("write", path=plan.target, problem=problem_of(error)) from error
        except (GivenUpError, TransferError, InputError):
            raise
        except RunQarnotError as error:
            raise TransferError("download", name=plan.file.key, problem=problem_of(error)) from error


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
