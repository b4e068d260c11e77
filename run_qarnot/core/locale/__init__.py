"""The texts for people, one module per language, named by its code; `core.messages` looks them up by id.

Every language module has the same tables with the same ids, and `is_one`, its plural rule. A new language is a module
here, one of `page/words_*.py`, and a line in `core.language.LANGUAGES`.
"""

from __future__ import annotations

from typing import NamedTuple


class ErrorTexts(NamedTuple):
    """The texts of an error: what happened; what to do, wherever one is; what to type, for who is in a terminal."""

    what: str
    todo: str
    typed: str = ""


class Plural(NamedTuple):
    """A text that depends on the fact `count`. English and French have two forms; `is_one` chooses."""

    one: str
    other: str
