"""Problems of a catalog or a plugin: where, what, what is allowed, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from run_qarnot.core.messages import Message, Sentence, english

_LONGEST_FOUND = 80


class ProblemFacts(TypedDict, total=False):
    """Facts of a problem's sentence. `found`, `allowed` and `nearest` are appended to every sentence."""

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
    """A problem. `details` (a traceback) are for admins; everybody may read the rest.

    Arguments:
        source: the file or plugin.
        code: of the tables `PROBLEMS` in `core.locale`.
        entry: the id of an image, if it is about one.
        key: of that entry, dotted.
        line: in the file, if known.
        warning: it may be intended; a catalog with warnings only is valid.
        facts: those of the sentence of `code`, and `found`, `allowed`, `nearest` if known.
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
        """Return the problem for programs, with its facts."""
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
    """Make a problem; `facts` are those of the sentence of `code`, and `found`, `allowed`, `nearest`."""
    return Problem(source, code, entry, key, line, details, warning, facts)


def show_value(value: object) -> str | Message:
    """Return a value as TOML, short enough for a sentence."""
    if isinstance(value, str):
        return Message("quoted", text=_cut(value, _LONGEST_FOUND - 2))
    return _cut(str(value).lower() if isinstance(value, bool) else repr(value), _LONGEST_FOUND)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
