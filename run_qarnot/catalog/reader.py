"""Entries as data → checked images. One bad entry costs one row: the others are kept, the problem is told."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from run_qarnot.catalog.image import Image, Option, Ready
from run_qarnot.names import nearest

SCHEMA = 1


@dataclass(frozen=True)
class Problem:
    """Something wrong in a catalog or plugin: where, what, and the nearest right name."""

    source: str  # the file or plugin
    entry: str = ""  # the image's id
    key: str = ""
    message: str = ""
    line: int | None = None
    details: str = ""  # a traceback, for admins

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        entry = f"[images.{self.entry}] " if self.entry else ""
        return f"{place}: {entry}{f'{self.key}: ' if self.key else ''}{self.message}"


@dataclass(frozen=True)
class Reading:
    """What reading a source gave."""

    images: tuple[Image, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_file(path: Path) -> Reading:
    """Read a catalog file. Whatever is wrong comes back as a problem, not as an exception."""
    source = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except OSError as error:
        return _failure(source, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return _failure(source, f"is not UTF-8 text (byte {error.start}); save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        return _failure(source, f"is not valid TOML: {error}", int(line[1]) if line else None)
    return _read_document(document, source, text)


def read_entries(
    entries: Mapping[str, Any], source: str, defaults: Mapping[str, Any] | None = None, text: str = ""
) -> Reading:
    """Check `entries` (id → keys), each merged over `defaults`."""
    images: list[Image] = []
    problems: list[Problem] = []
    for name, entry in entries.items():
        if not isinstance(entry, Mapping):
            problems.append(Problem(source, name, message="is not a table", line=find_line(text, name)))
            continue
        try:
            images.append(Image.model_validate({**(defaults or {}), **entry, "id": name, "source": source}))
        except ValidationError as error:
            problems.extend(_problems(error, source, name, text))
    return Reading(tuple(images), tuple(problems))


def find_line(text: str, entry: str, key: str = "") -> int | None:
    """Return the line of an entry's table, or of a key in it, for messages."""
    header = re.compile(rf"\s*\[\s*images\s*\.\s*[\"']?{re.escape(entry)}[\"']?\s*(\.|\])")
    assignment = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    table = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header.match(line):
            table = table or number
        elif table and line.lstrip().startswith("["):
            break
        elif table and key and assignment.match(line):
            return number
    return table


def _read_document(document: Mapping[str, Any], source: str, text: str) -> Reading:
    problems = [
        Problem(source, key=key, message="is not known here" + _meant(key, ("schema", "defaults", "images")))
        for key in document
        if key not in {"schema", "defaults", "images"}
    ]
    if document.get("schema") != SCHEMA:
        problems.append(Problem(source, key="schema", message=f"must be {SCHEMA}"))
    images, defaults = document.get("images", {}), document.get("defaults", {})
    if not isinstance(images, Mapping) or not isinstance(defaults, Mapping):
        return Reading((), (*problems, Problem(source, message="`images` and `defaults` must be tables")))
    reading = read_entries(images, source, defaults, text)
    return Reading(reading.images, (*problems, *reading.problems))


def _problems(error: ValidationError, source: str, entry: str, text: str) -> Iterable[Problem]:
    for fault in error.errors(include_url=False):
        location = [str(part) for part in fault["loc"]]
        key = next((part for part in location if part in Image.model_fields), "".join(location[:1]))
        yield Problem(source, entry, ".".join(location), _message(fault, location), find_line(text, entry, key))


def _message(fault: Mapping[str, Any], location: list[str]) -> str:
    if fault["type"] == "extra_forbidden":
        return "is not a known key" + _meant(location[-1], _known_keys(location))
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{message} (found {fault['input']!r})" if isinstance(fault["input"], str | int | float) else message


def _known_keys(location: list[str]) -> Iterable[str]:
    inner: dict[str, type[BaseModel]] = {"options": Option, "ready": Ready}
    return (inner.get(location[0], Image) if len(location) > 1 else Image).model_fields


def _meant(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean “{near}”?" if near else ""


def _failure(source: str, message: str, line: int | None = None) -> Reading:
    return Reading((), (Problem(source, message=message, line=line),))
