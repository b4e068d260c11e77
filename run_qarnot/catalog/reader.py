"""Turns entries into checked images. A bad entry becomes a problem, and the others are kept."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from run_qarnot.catalog.image import INTERNAL, Image
from run_qarnot.catalog.problem import Problem, ProblemFacts, make_problem, show_value
from run_qarnot.catalog.toml import read_document
from run_qarnot.catalog.toml_positions import Lines
from run_qarnot.catalog.validation import problems_of
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.names import nearest

__all__ = ["SCHEMA", "TOP_KEYS", "Problem", "Reading", "read_entries", "read_file"]

SCHEMA = 1
TOP_KEYS = ("schema", "defaults", "images")
_EXCLUSIVE = {"tag": "digest", "digest": "tag"}


@dataclass(frozen=True)
class Reading:
    """The result of reading a source, with line numbers if it is a file.

    `broken` has the entries with problems, each with id, source and app only. `adds` is true for a file without
    `schema`: it adds to the images that come with Run Qarnot instead of replacing them.
    """

    images: tuple[Image, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: tuple[Image, ...] = ()
    lines: Lines | None = field(default=None, repr=False, compare=False)
    adds: bool = False


def read_file(path: Path, source: str = "") -> Reading:
    """Read a catalog file. Every error is returned as a problem, none is raised.

    Arguments:
        source: its name in problems and beside images; the default is the file's name.
    """
    with _uncollected():
        return _read_file(path, source or path.name)


def _read_file(path: Path, source: str) -> Reading:
    document = read_document(path, source)
    if not document.text and document.problems:
        return Reading((), tuple(document.problems))
    data, lines = document.data, Lines(document.text)
    problems = [*document.problems, *_top_problems(data, source, lines)]
    tables = {key: data[key] if isinstance(data.get(key), dict) else {} for key in ("defaults", "images")}
    defaults, wrong = _checked_defaults(tables["defaults"], source, lines)
    reading = read_entries(tables["images"], source, defaults, lines)
    found = (*problems, *wrong, *reading.problems)
    return Reading(reading.images, found, reading.broken, lines, adds="schema" not in data)


def read_entries(
    entries: Mapping[str, Any], source: str, defaults: Mapping[str, Any] | None = None, lines: Lines | None = None
) -> Reading:
    """Check `entries` (id → keys), each merged over `defaults`. What is wrong has its line, if `lines` knows it."""
    images: list[Image] = []
    broken: list[Image] = []
    problems: list[Problem] = []
    lines = lines or Lines("")
    for name, entry in entries.items():
        if not isinstance(entry, Mapping):
            line = lines.of("images", str(name))
            problems.append(make_problem("table", source, entry=str(name), line=line, found=show_value(entry)))
            continue
        keys = merge(defaults or {}, entry)
        try:
            image = _image(keys, name, source)
        except ValidationError:
            usable, wrong = _without_wrong_keys(keys, name, source, str(name), lines)
            problems.extend(wrong)
            app = usable.get("app", Image.model_fields["app"].default)
            broken.append(Image.model_construct(id=str(name), source=source, app=app))
            continue
        if image.lacks_repo:  # reported only if nothing else is wrong: the key may be misspelt
            line = lines.of("images", str(name), "repo")
            problems.append(make_problem("repo-missing", source, entry=str(name), key="repo", line=line))
            broken.append(Image.model_construct(id=image.id, source=source, app=image.app))
        else:
            images.append(image)
    return Reading(tuple(images), tuple(problems), tuple(broken))


def _image(keys: Mapping[str, Any], name: Any, source: str) -> Image:
    if not INTERNAL.isdisjoint(keys):
        raise_as_unknown(keys)
    return Image.model_validate({**keys, "id": name, "source": source})


def _without_wrong_keys(
    keys: Mapping[str, Any], name: Any, source: str, entry: str, lines: Lines, table: tuple[str, ...] = ()
) -> tuple[Mapping[str, Any], list[Problem]]:
    """Return the valid keys, and the problems of the others.

    It validates repeatedly, because checks across several keys run only when each key is valid.
    """
    problems: list[Problem] = []
    usable = dict(keys)
    while True:
        try:
            _image(usable, name, source)
        except ValidationError as error:
            found = problems_of(error, source, entry, lines, table=table or None)
            problems.extend(problem for problem in found if problem not in problems)
            wrong = {problem.key.split(".")[len(table)] for problem in found if problem.key} & usable.keys()
            if wrong:
                usable = {key: value for key, value in usable.items() if key not in wrong}
                continue
        return usable, problems


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` over `under`, tables key by key. Of keys that exclude each other, that of `over` stays."""
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(before, value) if both else value  # type: ignore[arg-type]
        if key in _EXCLUSIVE and _EXCLUSIVE[key] not in over:
            merged.pop(_EXCLUSIVE[key], None)
    return merged


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Disable garbage collection in the block: with ten thousand images it takes a third of the time and finds
    nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def raise_as_unknown(entry: Mapping[str, Any]) -> None:
    """Refuse names that are fields of `Image` but not keys of an entry, as unknown keys."""
    Image.model_validate({"id": "x", **{f"{key} ": "" for key in INTERNAL & entry.keys()}})


def _top_problems(data: Mapping[str, Any], source: str, lines: Lines) -> Iterable[Problem]:
    for key in data:
        if key not in TOP_KEYS:
            facts: ProblemFacts = {
                "found": show_value(key),
                "allowed": Verbatim(", ".join(TOP_KEYS)),
                "nearest": nearest(key, TOP_KEYS),
            }
            yield make_problem("key-unknown", source, key=key, line=lines.of(key), **facts)
    schema = data.get("schema", SCHEMA)
    if schema != SCHEMA or isinstance(schema, bool):
        yield make_problem(
            "schema", source, key="schema", line=lines.of("schema"), schema=SCHEMA, found=show_value(schema)
        )
    for key in ("defaults", "images"):
        if key in data and not isinstance(data[key], dict):
            yield make_problem("table", source, key=key, line=lines.of(key), found=show_value(data[key]))


def _checked_defaults(
    defaults: Mapping[str, Any], source: str, lines: Lines
) -> tuple[Mapping[str, Any], tuple[Problem, ...]]:
    """Return the valid defaults. A wrong one is reported once, not with every entry."""
    usable, problems = _without_wrong_keys(defaults, "defaults", source, "", lines, table=("defaults",))
    return usable, tuple(problems)
