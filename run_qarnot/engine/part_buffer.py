"""Collects small pieces of a file into larger parts for a bucket, in memory only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the storage's libraries are large, and the page loads without them
    from run_qarnot.cloud.s3.browser_upload import DirectUpload

__all__ = ["PartBuffer", "PartData"]


@dataclass(frozen=True)
class PartData:
    """A complete part to be sent: its number from 1, and its bytes."""

    number: int
    data: bytearray


class PartBuffer:
    """Splits incoming bytes into parts, and records which of them the bucket has.

    `take` must be called from one thread; `put` and `check` block and may be called from other threads.
    """

    def __init__(self, upload: DirectUpload, sent: Mapping[int, str] | None = None) -> None:
        """Begin at the first part that is not in `sent`: the MD5 of the parts that an earlier buffer sent, by number.

        The last part is always requested again, so that there is an event that ends the upload.
        """
        self.upload = upload
        first = next(number for number in count(1) if number not in (sent or {}))
        self._next = min(first, upload.count)
        self._sent = {number: digest for number, digest in (sent or {}).items() if number < self._next}
        self._rest = bytearray()
        self.received = (self._next - 1) * upload.part_size

    def take(self, offset: int, data: memoryview | bytes) -> list[PartData]:
        """Add a piece if it begins where the last one ended; return the parts that it completes."""
        size = memoryview(data).nbytes
        if offset != self.received or size > self.upload.size - offset:
            return []  # a duplicate, or a piece before it was lost: the browser sends it again
        self.received += size
        parts, left = [], memoryview(data).cast("B")
        while left:
            room = self.upload.part_size - len(self._rest)
            self._rest += left[:room]
            left = left[room:]
            if len(self._rest) == self.upload.part_size or (not left and self.received == self.upload.size):
                parts.append(PartData(self._next, self._rest))  # as it is: parts are large
                self._rest = bytearray()
                self._next += 1
        return parts

    @property
    def waiting(self) -> int:
        """The number of complete parts that are not in the bucket yet."""
        return self._next - 1 - len(self._sent)

    @property
    def is_sent(self) -> bool:
        """Whether the bucket has confirmed all parts."""
        return len(self._sent) == self.upload.count

    def put(self, part: PartData) -> None:
        """Send a part to the bucket.

        Raises:
            RunQarnotError: the storage fails or refuses.
        """
        self._sent[part.number] = self.upload.put(part.number, part.data)

    def check(self) -> bool:
        """Whether the storage has all received parts, so that the file can be completed.

        Raises:
            TransferError: the storage does not answer.
        """
        return self.upload.check([self._sent[number] for number in sorted(self._sent)])

    def again(self) -> PartBuffer:
        """Return a buffer that continues where this one failed."""
        return PartBuffer(self.upload, dict(self._sent))
