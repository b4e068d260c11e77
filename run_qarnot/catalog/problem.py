"""What is wrong in a catalog or a plugin: where, what, what is allowed, and the nearest right name."""

from __future__ import annotations

from dataclasses import dataclass

from run_qarnot import messages

_LONGEST_FOUND = 80


@dataclass(frozen=True)
class Problem:
    """One row of what is wrong. `details` (a traceback) are for admins; everything else may be read by anybody.

    Arguments:
        source: the file or plugin.
        entry: the id of an image, if it is about one.
        key: of that entry, dotted.
        message: the whole sentence.
        line: in the file, if it is one.
        code: of `messages.PROBLEMS`.
        found, allowed, nearest: what the sentence names, for programs.
        warning: it may be meant so; a catalog with nothing but warnings is in order.
    """

    source: str
    entry: str = ""
    key: str = ""
    message: str = ""
    line: int | None = None
    details: str = ""
    code: str = ""
    found: str = ""
    allowed: str = ""
    nearest: str = ""
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}" if self.line else self.source
        entry = f"[images.{self.entry}] " if self.entry else ""
        return f"{place}: {entry}{f'{self.key}: ' if self.key else ''}{self.message}"


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
    shown = {name: str(facts.get(name) or "") for name in ("found", "allowed", "nearest")}
    return Problem(
        source, entry, key, messages.problem_words(code, facts), line, details, code, warning=warning, **shown
    )


def show_value(value: object) -> str:
    """Return what was found, short enough for a sentence, written as in TOML."""
    text = str(value).lower() if isinstance(value, bool) else f"“{value}”" if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_FOUND else text[: _LONGEST_FOUND - 1] + "…"
