"""Normalises request paths to the spelling of the routes (`reference/qarnot-platform.md` §0.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from starlette.routing import BaseRoute


class Paths:
    """Knows which parts of a path are words of a route: all other parts are names or keys and keep their case."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._templates: list[tuple[set[str], list[str]]] = [
            (set(getattr(route, "methods", None) or ()), _parts(getattr(route, "path", ""))) for route in routes
        ]

    def repaired(self, method: str, path: str) -> str:
        """Single slashes, no `/v1`, no final slash, words in lower case."""
        parts = _parts(path)
        if len(parts) > 1 and parts[0].lower() == "v1":
            parts = parts[1:]
        # `/tasks/search` is a word for POST; for GET it is a name, because there is no such route.
        ranks = [
            (method not in methods, sum(map(_is_name, template)), template)
            for methods, template in self._templates
            if _fits(template, parts)
        ]
        *_, template = min(ranks, default=(False, 0, []))
        words = [own if _is_name(word) else word for word, own in zip(template, parts, strict=False)]
        return "/" + "/".join(words + parts[len(words) :])


def _parts(path: str) -> list[str]:
    return [part for part in re.split("/+", path) if part]


def _is_name(word: str) -> bool:
    return word.startswith("{")


def _fits(template: Sequence[str], parts: Sequence[str]) -> bool:
    is_open = bool(template) and template[-1].endswith(":path}")  # takes all that follows
    if len(parts) < len(template) or (len(parts) > len(template) and not is_open):
        return False
    return all(_is_name(word) or word == own.lower() for word, own in zip(template, parts, strict=False))
