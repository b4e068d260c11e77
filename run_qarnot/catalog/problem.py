"""What is wrong in a catalog or a plugin: where, what, what is allowed, and the nearest right name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from run_qarnot.core.messages import Message, Sentence, english

_LONGEST_FOUND = 80


class ProblemFacts(TypedDict, total=False):
    """What the sentence of a problem may name. `found`, `allowed` and `nearest` are put behind every sentence."""

    found: str | Message
    allowed: Sentence
    nearest: str | None
    problem: Sentence
    wanted: Message
    what: str | Message
    found_kind: Message
    first: str | Message
    seconds: float
    size: str
    byte: int
    schema: int
    type: str
    named: str
    value: str
    text: str
    hook: str
    owner: str
    app: str
    option: str
    part: str
    profile: str


@dataclass(frozen=True)
class Problem:
    """One row of what is wrong. `details` (a traceback) are for admins; everything else may be read by anybody.

    Arguments:
        source: the file or plugin.
        code: of the tables `PROBLEMS` in `core.locale`.
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
        return str(self.placed)

    @property
    def placed(self) -> Message:
        """The place and the sentence."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        entry = f"[images.{self.entry}] " if self.entry else ""
        entry = f"{entry}{self.key}: " if self.key else entry
        return Message("problem-at", place=place, entry=entry, problem=self.sentence)

    @property
    def message(self) -> str:
        """The whole sentence, in the language in use."""
        return str(self.sentence)

    @property
    def sentence(self) -> Message:
        """What is wrong, what was found, what is allowed, what was meant."""
        said = Message(f"problem.{self.code}", **self.facts)
        for name in ("found", "allowed", "nearest"):
            if self.facts.get(name) not in (None, ""):
                said = Message(f"problem-{name}", problem=said, **{name: self.facts[name]})
        return said

    @property
    def english_facts(self) -> dict[str, object]:
        """The facts for programs."""
        return {name: fact.text("en") if isinstance(fact, Message) else fact for name, fact in self.facts.items()}

    def as_json(self) -> dict[str, object]:
        """For programs: what the sentence names, too."""
        facts = self.english_facts
        named = {name: str(facts.get(name) or "") for name in ("found", "allowed", "nearest")}
        return {
            "source": self.source,
            "entry": self.entry,
            "key": self.key,
            "message": english(self.sentence),
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
    **facts: Unpack[ProblemFacts],
) -> Problem:
    """Make a problem; `facts` are those that the sentence of `code` names, and `found`, `allowed`, `nearest`."""
    return Problem(source, code, entry, key, line, details, warning, facts)


def show_value(value: object) -> str | Message:
    """Return what was found, short enough for a sentence, written as in TOML."""
    if isinstance(value, str):
        return Message("quoted", text=_cut(value, _LONGEST_FOUND - 2))
    return _cut(str(value).lower() if isinstance(value, bool) else repr(value), _LONGEST_FOUND)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
