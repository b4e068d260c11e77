"""What is wrong in a catalog or a plugin: where, what, what is allowed, and the nearest right name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from run_qarnot.core import messages

_LONGEST_FOUND = 80


@dataclass(frozen=True)
class Problem:
    """One row of what is wrong. `details` (a traceback) are for admins; everything else may be read by anybody.

    Arguments:
        source: the file or plugin.
        code: of `messages.PROBLEMS`.
        entry: the id of an image, if it is about one.
        key: of that entry, dotted.
        line: in the file, if it is one.
        warning: it may be meant so; a catalog with nothing but warnings is in order.
        facts: those that the sentence of `code` names, and perhaps `found`, `allowed`, `nearest`.
    """

    source: str
    code: str
    entry: str = ""
    key: str = ""
    line: int | None = None
    details: str = ""
    warning: bool = False
    facts: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        entry = f"[images.{self.entry}] " if self.entry else ""
        return f"{place}: {entry}{f'{self.key}: ' if self.key else ''}{self.message}"

    @property
    def message(self) -> str:
        """The whole sentence, in the language in use."""
        return messages.problem_words(self.code, self.facts)

    def as_json(self) -> dict[str, object]:
        """For programs: what the sentence names, too."""
        named = {name: str(self.facts.get(name) or "") for name in ("found", "allowed", "nearest")}
        return {
            "source": self.source,
            "entry": self.entry,
            "key": self.key,
            "message": self.message,
            "line": self.line,
            "details": self.details,
            "code": self.code,
            **named,
            "warning": self.warning,
        }


def make_problem(
    code: str,
    source: str,
    *,
    entry: str = "",
    key: str = "",
    line: int | None = None,
    details: str = "",
    warning: bool = False,
    **facts: object,
) -> Problem:
    """Make a problem; `facts` are those that the sentence of `code` names, and `found`, `allowed`, `nearest`."""
    return Problem(source, code, entry, key, line, details, warning, facts)


def show_value(value: object) -> str:
    """Return what was found, short enough for a sentence, written as in TOML."""
    text = str(value).lower() if isinstance(value, bool) else f"“{value}”" if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_FOUND else text[: _LONGEST_FOUND - 1] + "…"
