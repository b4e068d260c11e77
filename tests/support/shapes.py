"""Compares an answer with `shapes.txt`: what is missing, of another kind, or more than the document says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SPAN = re.compile(r"(\d+\.)?\d\d:\d\d:\d\d")


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and str(UUID(value)) == value


_KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "uuid": _is_uuid,
    "date": lambda value: isinstance(value, str) and _DATE.fullmatch(value) is not None,
    "span": lambda value: isinstance(value, str) and _SPAN.fullmatch(value) is not None,
    "flag": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "map": lambda value: isinstance(value, dict),
    "any": lambda value: value is not None,
}


def _read() -> dict[str, dict[str, str]]:
    shapes: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    kind = ""
    for line in Path(__file__).with_name("shapes.txt").read_text("utf-8").splitlines():
        if not line.startswith((" ", "#")):
            fields = shapes[line] = {}
            continue
        kind, _, names = line.strip().rpartition(": ") if ": " in line else (kind, "", line)
        fields.update(dict.fromkeys(names.split(), kind))
    return shapes


SHAPES = _read()


def differences(value: Any, kind: str, where: str = "") -> Iterator[str]:
    """`Task.poolUuid is null`, `Task.shortname is missing`, `Task.projectUuid is more`, `Task.state is no int`."""
    where = where or kind
    if value is None:
        if not kind.endswith("?"):
            yield f"{where} is null"
        return
    kind = kind.removesuffix("?")
    if kind.startswith("["):
        if not isinstance(value, list):
            yield f"{where} is no list"
            return
        for item in value:
            yield from differences(item, kind[1:-1], where)
    elif kind in SHAPES:
        yield from _fields(value, kind)
    elif not _KINDS[kind](value):
        yield f"{where} is no {kind}: {value!r}"


def _fields(value: Any, kind: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{kind} is no object: {value!r}"
        return
    for name, field in SHAPES[kind].items():
        if name in value:
            yield from differences(value[name], field, f"{kind}.{name}")
        else:
            yield f"{kind}.{name} is missing"
    for name in value.keys() - SHAPES[kind].keys():
        yield f"{kind}.{name} is more"
