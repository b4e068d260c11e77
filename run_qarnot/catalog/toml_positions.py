"""Line numbers of keys in a TOML file, for messages. They are looked up only when there is a problem."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PART = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_-]+"
_DOTTED = rf"(?:{_PART})(?:\s*\.\s*(?:{_PART}))*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_QUOTES = ('"""', "'''")

Path = tuple[str, ...]


class Lines:
    """The line numbers of a file by the path of the key. The file is scanned once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[Path, int] | None = None

    def of(self, *path: str) -> int | None:
        """Return the line of `path`, or of the nearest table around it."""
        if self._found is None:
            self._found = {}
            for place, number in _places(self._text):
                for count in range(1, len(place) + 1):  # a table may exist without a line of its own
                    self._found.setdefault(place[:count], number)
        return next((self._found[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._found), None)


def table_of(line: str) -> Path | None:
    """Return the path in a line such as `[images.base]`; None for other lines."""
    header = _HEADER.match(line)
    return _split(header[1]) if header else None


def _places(text: str) -> Iterator[tuple[Path, int]]:
    table: Path = ()
    inside = ""  # the quotes of a multi-line string
    for number, line in enumerate(text.split("\n"), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if (header := table_of(line)) is not None:
            table = header
            yield table, number
        elif assignment := _ASSIGNMENT.match(line):
            yield (*table, *_split(assignment[1])), number
        inside = next((quotes for quotes in _QUOTES if line.count(quotes) % 2), "")


def _split(dotted: str) -> Path:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in re.findall(_PART, dotted))
