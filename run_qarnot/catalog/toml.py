"""Reads a catalog file as plain data. In a file with syntax errors, all other entries are still read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run_qarnot.catalog.problem import Problem, make_problem
from run_qarnot.catalog.toml_positions import table_of
from run_qarnot.core.errors import reason_of
from run_qarnot.core.messages import Message, Verbatim

MOST_BYTES = 5_000_000  # ten thousand images have one or two million
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass
class Document:
    """The content of a file, its text for line numbers, and its problems."""

    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    problems: list[Problem] = field(default_factory=list)


def read_document(path: Path, source: str) -> Document:
    """Read a file. Every error is returned as a problem, none is raised."""
    try:
        if not path.is_file():
            code = "file-kind" if path.exists() else "file-missing"
            return Document(problems=[make_problem(code, source, found=str(path))])
        size = path.stat().st_size
        if size > MOST_BYTES:
            most = Message("at-most-megabytes", number=f"{MOST_BYTES / 1e6:g}")
            return Document(problems=[make_problem("file-size", source, size=f"{size / 1e6:.1f}", allowed=most)])
        content = path.read_bytes()
    except OSError as error:
        return Document(problems=[make_problem("file-unreadable", source, problem=reason_of(error))])
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = f"0x{content[error.start]:02X}"
        return Document(problems=[make_problem("file-utf8", source, line=line, byte=error.start + 1, found=found)])
    return parse(text, source)


def parse(text: str, source: str) -> Document:
    """Parse TOML. If that fails, each table is parsed separately, so that an error affects only its own entry."""
    try:
        return Document(tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        whole = _problem(error, source, text, 1)
    document = Document({}, text)
    for first_line, part in _parts(text):
        try:
            _merge(document, tomllib.loads(part), source, first_line)
        except tomllib.TOMLDecodeError as error:
            document.problems.append(_problem(error, source, part, first_line))
    if not document.problems:  # each part is valid, the whole is not
        document.problems.append(whole)
    return document


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Split before each `[table]`; sub-tables stay with their entry."""
    start, lines, entry = 1, list[str](), None
    for number, line in enumerate(text.split("\n"), start=1):
        table = table_of(line)
        if table is not None and not (len(table) > 2 and table[:2] == entry):
            yield start, "\n".join(lines)
            start, lines, entry = number, [], table[:2]
        lines.append(line)
    yield start, "\n".join(lines)


def _merge(document: Document, data: dict[str, Any], source: str, line: int) -> None:
    for key, value in data.items():
        before = document.data.get(key)
        if key == "images" and isinstance(before, dict) and isinstance(value, dict):
            for name, entry in value.items():
                if name in before:
                    twice = make_problem("entry-twice", source, entry=name, line=line, first=Message("same-file"))
                    document.problems.append(twice)
                else:
                    before[name] = entry
        elif key not in document.data:
            document.data[key] = value


def _problem(error: tomllib.TOMLDecodeError, source: str, text: str, first_line: int) -> Problem:
    words = str(error)
    place = _PLACE.search(words)
    line = int(place[1]) if place and place[1] else len(text.rstrip("\n").split("\n"))
    header = table_of(text.split("\n", 1)[0])
    entry = header[1] if header and len(header) > 1 and header[0] == "images" else ""
    return make_problem(
        "toml", source, entry=entry, line=first_line + line - 1, problem=Verbatim(_PLACE.sub("", words))
    )
