"""The output of a task: limited in size, readable whole or since the last read (§2.5)."""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Mapping

_LIMIT = 1_000_000  # characters kept for each stream; older text is rotated out, as on the platform
_LONGEST_LINE = 1 << 16  # characters; a longer line is passed on before its end
# Of ends alone: to look for whole lines takes the square of the time where there is none. The last \r may become \r\n.
_END = re.compile(r"\r\n|\n|\r(?!\Z)")


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
    """A task's stdout or stderr. Lines begin with `<instance>> ` in the aggregate, not in an instance's own.

    When several instances write into the aggregate, it gets their lines whole, and the last one when the instance ends.
    """

    def __init__(self) -> None:
        self.aggregate = Tail()
        self.instances: dict[int, Tail] = {}
        self.is_shared = False
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._begun: dict[int, str] = {}  # what an instance has written of a line that the aggregate has not yet
        self._is_open = False  # the aggregate's last line has no end
        self._owner: int | None = None  # the instance that may go on with it

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Output:
        """The output of instances that have ended, from `texts`."""
        output = cls()
        for number, text in texts.items():
            output.write(text, int(number))
            output.flush(int(number))
        return output

    def texts(self) -> dict[str, str]:
        """What is kept of each instance's output, by its number."""
        return {str(number): tail.everything() for number, tail in self.instances.items()}

    def feed(self, data: bytes, instance: int = 0) -> None:
        decoder = self._decoders.setdefault(instance, codecs.getincrementaldecoder("utf-8")("replace"))
        self.write(decoder.decode(data), instance)

    def write(self, text: str, instance: int = 0) -> None:
        self.instances.setdefault(instance, Tail()).append(text)
        known = self._begun.pop(instance, "")
        begun = known + text
        end = 0
        for found in _END.finditer(begun, max(0, len(known) - 1)):  # what was there had no end but maybe a last \r
            self._tell(begun[end : found.end()], instance)
            end = found.end()
        rest = begun[end:]
        if rest and (not self.is_shared or len(rest) > _LONGEST_LINE):
            self._tell(rest.removesuffix("\r"), instance)
            rest = "\r" if rest.endswith("\r") else ""
        self._begun[instance] = rest

    def flush(self, instance: int) -> None:
        """The line that an instance has begun is its last."""
        self._tell(self._begun.pop(instance, ""), instance)
        if self._owner == instance:
            self._owner = None

    def _tell(self, text: str, instance: int) -> None:
        if not text:
            return
        if not (self._is_open and self._owner == instance):
            text = ("\n" if self._is_open else "") + f"{instance}> {text}"
        self.aggregate.append(text)
        self._is_open, self._owner = not text.endswith(("\n", "\r")), instance
