"""How files are divided into parts, and the checksums (ETags) of a storage. Pure functions.

The parts are those of boto3 and the SDK, so that every uploader gives a file the same ETag: the MD5 of the content
below 8 MiB, and `md5(md5 of each part)-N` from there on (`reference/qarnot-platform.md` §4.2).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from run_qarnot.model.files import LARGE_BYTES, MOST_PARTS

PART_BYTES = LARGE_BYTES
BLOCK_BYTES = 1 << 20  # read from a disk at once

_ETAG = re.compile(r"([0-9a-f]{32})(?:-([1-9]\d*))?")
_MIB = 1 << 20
_MOST_SIZES = 8  # sizes of parts that are tried for one ETag: each takes an MD5 of the whole content
_USUAL_SIZES = tuple(count * _MIB for count in (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128))


@dataclass(frozen=True)
class Part:
    """A part of a file: its number from 1 on, where it begins, and how many bytes it has."""

    number: int
    start: int
    size: int


def has_parts(size: int) -> bool:
    """Whether a file of this size is uploaded in parts."""
    return size >= PART_BYTES


def part_size(size: int) -> int:
    """Return the size of the parts of a file: more than 8 MiB only where there would be too many."""
    found = PART_BYTES
    while size > found * MOST_PARTS:
        found *= 2
    return found


def parts_of(size: int) -> list[Part]:
    """Return the parts of a file of `size` bytes."""
    step = part_size(size)
    return [Part(number, start, min(step, size - start)) for number, start in enumerate(range(0, size, step), start=1)]


def md5(data: bytes | bytearray = b"") -> Hash:
    """Return a running MD5. Storages compare by it; it protects nothing."""
    return hashlib.md5(data, usedforsecurity=False)


class Hash(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


def etag_of_parts(digests: list[bytes]) -> str:
    """Return the ETag of an object that was uploaded in parts, from the MD5 of each."""
    return f"{md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def is_encrypted(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is about an object that the storage encrypts, so that its ETag is not an MD5."""
    return "ServerSideEncryption" in answer or "SSECustomerAlgorithm" in answer


class Checksum:
    """Compares content, which is added piece by piece, with the ETag of an object.

    The ETag of an object in parts does not state their size: all sizes of whole MiB that fit their number are tried, up
    to a limit.
    """

    def __init__(self, etag: str, size: int) -> None:
        self._wanted = etag.strip('"').lower()
        found = _ETAG.fullmatch(self._wanted)
        count = int(found[2]) if found and found[2] else None
        self.is_plain = found is not None and count is None
        sizes, self._is_sure = ([0], True) if self.is_plain else _sizes(size, count) if count else ([], False)
        self._sums = [_InParts(size) if size else _Whole() for size in sizes]

    def update(self, data: bytes) -> None:
        for each in self._sums:
            each.update(data)

    @property
    def etags(self) -> tuple[str, ...]:
        """The ETags that the content may have; equal contents have equal ones."""
        return tuple(each.etag() for each in self._sums)

    def matches(self) -> bool | None:
        """Whether the content is the object's; None if the ETag does not allow a comparison."""
        if self._wanted in self.etags:
            return True
        return False if self._is_sure and self._sums else None


def checksum_of(path: Path, etag: str, size: int, check: Callable[[], None], end: int | None = None) -> Checksum:
    """Read a file, up to `end`; `check` is called now and then and may raise."""
    checksum = Checksum(etag, size)
    left = size if end is None else end
    with path.open("rb") as file:
        while left and (block := file.read(min(BLOCK_BYTES, left))):
            check()
            checksum.update(block)
            left -= len(block)
    return checksum


def _sizes(size: int, count: int) -> tuple[list[int], bool]:
    """Return the sizes of parts that divide `size` into `count`, and whether these are all that are whole MiB."""
    if count == 1:
        return [max(size, 1)], True
    least = -(-size // count)
    most = -(-size // (count - 1)) - 1
    whole = range(-(-least // _MIB), most // _MIB + 1)
    if len(whole) <= _MOST_SIZES:
        return [number * _MIB for number in whole], True
    return [usual for usual in _USUAL_SIZES if least <= usual <= most], False


class _Whole:
    def __init__(self) -> None:
        self._sum = md5()

    def update(self, data: bytes) -> None:
        self._sum.update(data)

    def etag(self) -> str:
        return self._sum.hexdigest()


class _InParts:
    def __init__(self, size: int) -> None:
        self._size = size
        self._digests: list[bytes] = []
        self._sum, self._left = md5(), size

    def update(self, data: bytes) -> None:
        for piece in self._cut(memoryview(data)):
            self._sum.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._digests.append(self._sum.digest())
                self._sum, self._left = md5(), self._size

    def _cut(self, data: memoryview) -> Iterator[memoryview]:
        while data:
            piece = data[: self._left]
            data = data[len(piece) :]
            yield piece

    def etag(self) -> str:
        rest = [self._sum.digest()] if self._left < self._size or not self._digests else []
        return etag_of_parts([*self._digests, *rest])
