"""What a task prints: bounded, readable whole or from where the last reader stopped (§2.5)."""

from __future__ import annotations

import codecs
from collections import deque

_LIMIT = 1_000_000  # characters kept for each stream; older text is rotated out, as on the platform


class Tail:
    """The last characters of a stream, with one cursor that all clients share."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._chunks: deque[str] = deque()
        self._kept = 0
        self._end = 0  # characters ever written
        self._cursor = 0

    def append(self, text: str) -> None:
        if not text:
            return
        self._end += len(text)
        self._chunks.append(text[-self._limit :])
        self._kept += len(self._chunks[-1])
        while self._kept > self._limit and len(self._chunks) > 1:
            self._kept -= len(self._chunks.popleft())

    def everything(self) -> str:
        return "".join(self._chunks)

    def unread(self) -> str:
        """The text since the last call; what was rotated out meanwhile is lost."""
        text = self.everything()[max(0, self._cursor - (self._end - self._kept)) :]
        self._cursor = self._end
        return text


class Output:
    """A task's stdout or stderr. Lines begin with `<instance>> ` in the aggregate, not in an instance's own."""

    def __init__(self) -> None:
        self.aggregate = Tail()
        self.instances: dict[int, Tail] = {}
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._at_line_start = True

    def feed(self, data: bytes, instance: int = 0) -> None:
        decoder = self._decoders.setdefault(instance, codecs.getincrementaldecoder("utf-8")("replace"))
        self.write(decoder.decode(data), instance)

    def write(self, text: str, instance: int = 0) -> None:
        self.instances.setdefault(instance, Tail()).append(text)
        for line in text.splitlines(keepends=True):
            self.aggregate.append(f"{instance}> {line}" if self._at_line_start else line)
            self._at_line_start = line.endswith(("\n", "\r"))
