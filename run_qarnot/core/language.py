"""The language of this process. One person uses a process, be it a visitor's kernel or a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

LANGUAGES = {"en": "English", "fr": "Français"}
Texts: TypeAlias = str | Mapping[str, str]
_FIRST = "en"

_spoken = _FIRST


def set_language(language: str) -> None:
    """Set the language of all texts from now on. An unknown language is ignored."""
    global _spoken
    if language in LANGUAGES:
        _spoken = language


def spoken() -> str:
    """Return the language in use."""
    return _spoken


def number(value: float, places: int | None = None) -> str:
    """Format a number for people, with `places` decimal places, or as many as it has."""
    return written(f"{value:g}" if places is None else f"{value:.{places}f}")


def written(number: str, spoken: str | None = None) -> str:
    """Format a number for people, given as programs write it. The default is the language in use."""
    return number.replace(".", ",") if (spoken or _spoken) == "fr" else number


def read(number: str) -> str:
    """Parse a number that a person wrote in the language in use; return it as programs write it."""
    return number.replace(",", ".") if _spoken == "fr" else number


def chosen(text: Texts) -> str:
    """Return a text that a plugin or a catalog provides, in the language in use.

    Arguments:
        text: the text, or one for each language, by its code. A missing language falls back to English, and English to
            the first one.
    """
    if isinstance(text, str):
        return text
    return text.get(_spoken) or text.get(_FIRST) or next(iter(text.values()), "")


def preferred(accept_language: str) -> str:
    """Return the language that a browser prefers among ours, from a header such as `fr-CH, fr;q=0.9, en;q=0.8`."""
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
