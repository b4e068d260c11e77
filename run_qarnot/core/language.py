"""The language of this process: one person uses it, a visitor's kernel as well as a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

LANGUAGES = {"en": "English", "fr": "Français"}
Texts: TypeAlias = str | Mapping[str, str]
_FIRST = "en"

_spoken = _FIRST


def set_language(language: str) -> None:
    """Say everything in this language from now on; one that is not there changes nothing."""
    global _spoken
    if language in LANGUAGES:
        _spoken = language


def spoken() -> str:
    """Return the language in use."""
    return _spoken


def number(value: float, places: int | None = None) -> str:
    """Write a number for people: with so many decimal places, or as many as it has."""
    return written(f"{value:g}" if places is None else f"{value:.{places}f}")


def written(number: str, spoken: str | None = None) -> str:
    """Return a number as people write it, given as programs do; in the language in use, if none is given."""
    return number.replace(".", ",") if (spoken or _spoken) == "fr" else number


def read(number: str) -> str:
    """Return a number as programs write it, given as people do."""
    return number.replace(",", ".") if _spoken == "fr" else number


def chosen(text: Texts) -> str:
    """Return a text that somebody else, such as a plugin, brings in one language or in several.

    Arguments:
        text: the text, or one for each language, by its code. English stands in for a language that is missing, and the
            first one for English.
    """
    if isinstance(text, str):
        return text
    return text.get(_spoken) or text.get(_FIRST) or next(iter(text.values()), "")


def preferred(accept_language: str) -> str:
    """Return what suits a browser best, from its `Accept-Language`, such as `fr-CH, fr;q=0.9, en;q=0.8`."""
    wishes = [_wish(part) for part in accept_language[:1000].split(",")]
    for quality, name in sorted(wishes, key=lambda wish: -wish[0]):
        if quality > 0 and name in LANGUAGES:
            return name
    return _FIRST


def _wish(part: str) -> tuple[float, str]:
    name, _, quality = part.strip().partition(";q=")
    try:
        weight = float(quality or 1)
    except ValueError:
        weight = 0.0
    return weight, name.split("-")[0].lower()
