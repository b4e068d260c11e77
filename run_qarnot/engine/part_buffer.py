"""A file that comes in small pieces and goes on to a bucket in larger parts: nothing of it lies on our disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the storage's libraries are heavy, and the page opens without them
    from run_qarnot.cloud.s3.browser_upload import DirectUpload

__all__ = ["PartBuffer", "PartData"]


@dataclass(frozen=True)
class PartData:
    """A part that is complete, to be sent: its number from 1 on, and its bytes."""

    number: int
    data: bytes


class PartBuffer:
    """Cuts what comes into parts, and knows which of them the bucket has.

    `take` and what it changes belong to one thread; `put` and `check` block, and may be called from others.
    """

    def __init__(self, upload: DirectUpload, sent: Mapping[int, str] | None = None) -> None:
        """Begin at the first part that is not among `sent`: the MD5 of those that an earlier relay sent, by number.

        The last part is always asked for again, so that there is something to end with.
        """
        self.upload = upload
        first = next(number for number in count(1) if number not in (sent or {}))
        self._next = min(first, upload.count)
        self._sent = {number: digest for number, digest in (sent or {}).items() if number < self._next}
        self._rest = bytearray()
        self.received = (self._next - 1) * upload.part_size

    def take(self, offset: int, data: memoryview | bytes) -> list[PartData]:
        """Take a piece if it begins where the last one ended; return the parts that are complete with it."""
        size = memoryview(data).nbytes
        if offset != self.received or size > self.upload.size - offset:
            return []  # it came twice, or something before it was lost: it is sent again
        self._rest += data
        self.received += size
        parts = []
        while len(self._rest) >= self.upload.part_size or (self._rest and self.received == self.upload.size):
            with memoryview(self._rest) as rest:  # one copy, not two: parts are large
                parts.append(PartData(self._next, bytes(rest[: self.upload.part_size])))
            del self._rest[: self.upload.part_size]
            self._next += 1
        return parts

    @property
    def waiting(self) -> int:
        """How many parts are complete and not in the bucket."""
        return self._next - 1 - len(self._sent)

    @property
    def is_sent(self) -> bool:
        """Whether the bucket has all parts, as far as it answered."""
        return len(self._sent) == self.upload.count

    def put(self, part: PartData) -> None:
        """Send a part to the bucket.

        Raises:
            RunQarnotError: the storage does not take it.
        """
        self._sent[part.number] = self.upload.put(part.number, part.data)

    def check(self) -> bool:
        """Ask the storage whether it has what came; the file can be completed then.

        Raises:
            TransferError: the storage does not say.
        """
        return self.upload.check([self._sent[number] for number in sorted(self._sent)])

    def again(self) -> PartBuffer:
        """Return a relay that goes on where this one failed."""
        return PartBuffer(self.upload, dict(self._sent))
