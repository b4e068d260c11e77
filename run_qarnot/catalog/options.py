"""The form fields that an image declares. Values are checked here, for the page, links and the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, Unpack

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from run_qarnot.catalog.problem import ProblemFacts, show_value
from run_qarnot.core import language
from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message, Sentence, Verbatim
from run_qarnot.core.redaction import protect

OptionType = Literal["text", "int", "float", "bool", "choice", "multi", "secret"]
CONSTANT = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_CHOSEN, _NUMBERS, _TEXTS = {"choice", "multi"}, {"int", "float"}, {"text", "secret"}


class Entry(BaseModel):
    """A table of the catalog. Unknown keys and values of other types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def fault(code: str, key: str = "", **facts: Unpack[ProblemFacts]) -> PydanticCustomError:
    """Make a validation error that becomes a `Problem` with this code. `key` is set if it concerns another key."""
    return PydanticCustomError("catalog", "{code}", {"code": code, "key": key, "facts": facts})


def check_regex(value: str | None) -> str | None:
    """Return `value` if it compiles."""
    try:
        re.compile(value or "")
    except re.error as error:
        raise fault("regex", problem=Verbatim(str(error))) from None
    return value


class Option(Entry):
    """A form field that an image declares, and the task constant that it sets."""

    label: str = Field("", description="Name of the field, for people; the option's own name when left out.")
    help: str = Field("", description="A sentence below the field.")
    type: OptionType = Field("text", description="What may be entered.")
    choices: tuple[str, ...] = Field((), description="For `choice` and `multi`: what can be chosen.")
    min: float | None = Field(None, strict=True, description="For `int` and `float`: the least.")
    max: float | None = Field(None, strict=True, description="For `int` and `float`: the most.")
    regex: str | None = Field(None, description="What a text must match as a whole; needs `message`.")
    message: str | None = Field(None, description="What is said when `regex` does not match.")
    default: str | int | float | bool | tuple[str, ...] | None = Field(
        None,
        description="Value when untouched. An empty text where `regex` does not allow one: it must be filled in.",
    )
    constant: str | None = Field(
        None,
        description="The task constant that it sets. Of `multi`, the choices with commas between them.",
        pattern=CONSTANT,
    )

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return check_regex(value)

    @model_validator(mode="after")
    def _is_consistent(self) -> Option:
        if self.regex is not None and not self.message:
            raise fault("regex-message", "regex")
        for problem in (*self._unused(), *self._wrong_default()):
            raise problem
        return self

    def _unused(self) -> Iterator[PydanticCustomError]:
        for choice in self.choices:
            if not choice.strip() or choice != choice.strip() or (self.type == "multi" and "," in choice):
                near = " ".join(choice.replace(",", " ").split())
                yield fault("choices-form", "choices", found=show_value(choice), nearest=near)
        if (self.type in _CHOSEN) != bool(self.choices):
            yield fault("choices-unused" if self.choices else "choices", "choices", type=self.type)
        limits = [name for name in ("min", "max") if getattr(self, name) is not None]
        if limits and self.type not in _NUMBERS:
            yield fault("limits-unused", limits[0], type=self.type)
        if self.regex is not None and self.type not in _TEXTS:
            yield fault("limits-unused", "regex", type=self.type)
        if self.min is not None and self.max is not None and self.min > self.max:
            yield fault("limits", "min", found=Message("two-values", first=f"{self.min:g}", second=f"{self.max:g}"))

    def _wrong_default(self) -> Iterator[PydanticCustomError]:
        if self.default is None or self.default == "" or self.default == ():
            return
        if problem := self._problem_of(self.default):
            shown = Message("hidden" if self.type == "secret" else "quoted", text=_as_text(self.default))
            yield fault("default", "default", problem=problem[0], found=shown, allowed=problem[1])

    @property
    def is_required(self) -> bool:
        """Whether it must be filled in: its default is an empty text that may not be entered."""
        return self.default == "" and self._problem_of("") is not None

    @property
    def hint(self) -> Sentence:
        """What to enter, for a field that is empty."""
        problem = self._problem_of("")
        return problem[1] if problem else Verbatim("")

    def check(self, name: str, value: object) -> str:
        """Return `value` as the text of a constant. A secret is hidden from all output from now on.

        Raises:
            InputError: the value is not allowed; the sentence says what is.
        """
        text = _as_text(value)
        if self.type == "secret":
            protect(text)
        if problem := self._problem_of(value):
            field, label = f"option-{name}", self.label or name
            if not text:
                raise InputError("option-empty", field=field, label=label, hint=problem[1])
            shown = Message("hidden") if self.type == "secret" else text[:200]
            raise InputError("option-value", field=field, value=shown, label=label, problem=problem[0], hint=problem[1])
        if self.type == "bool":
            return str(text.lower() in _TRUE).lower()
        if self.type == "int":
            return str(int(text))
        if self.type == "float":
            text = language.read(text)
            return text if _PLAIN_NUMBER.fullmatch(text) else repr(float(text))  # `1_0` is valid in Python only
        return ",".join(_parts(value)) if self.type == "multi" else text

    def _problem_of(self, value: object) -> tuple[Message, Sentence] | None:
        """Return what is wrong with a value, and what is allowed; None if nothing is wrong."""
        text = _as_text(value)
        if any(ord(mark) < 32 and mark not in "\t\r\n" for mark in text):
            return Message("value-controls"), Message("write-text")
        if self.type in _NUMBERS:
            return self._number_problem(text)
        if self.type == "bool":
            is_right = text.lower() in _TRUE | _FALSE
            return None if is_right else (Message("value-not-boolean"), Message("write-yes-or-no"))
        chosen = _parts(value) if self.type == "multi" else [text]
        if self.choices and (unknown := [part for part in chosen if part not in self.choices]):
            return Message("value-not-offered", value=unknown[0]), Message("choose-from", choices=self.choices)
        if self.regex is not None and not re.fullmatch(self.regex, text):
            return Message("value-form"), Verbatim(self.message or "")
        return None

    def _number_problem(self, text: str) -> tuple[Message, Sentence] | None:
        try:
            number = int(text) if self.type == "int" else float(language.read(text))
        except (ValueError, OverflowError):
            problem = Message("value-not-number") if self.type == "float" else Message("value-not-integer")
            return problem, Message("write-digits")
        if not math.isfinite(number):
            return Message("value-not-number"), Message("write-digits")
        if self.min is not None and number < self.min:
            return Message("value-least", number=self.min), Message("write-at-least", number=self.min)
        if self.max is not None and number > self.max:
            return Message("value-most", number=self.max), Message("write-at-most", number=self.max)
        return None


def _parts(value: object) -> list[str]:
    """Return the choices of a value of type `multi` (a list, or text with commas) in order, without duplicates."""
    parts: Iterable[Any] = value if isinstance(value, list | tuple) else str(value).split(",")
    return list(dict.fromkeys(part for each in parts if (part := str(each).strip())))


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value).strip()
