"""What may be entered into a field, and the constant that it becomes."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from run_qarnot.catalog.options import Option, OptionType
from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import redact

COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        (Option(), "  a b ", "a b"), (Option(type="int"), " 007", "7"), (Option(type="int"), 7, "7"),
        (Option(type="float"), "1.50", "1.50"), (Option(type="float"), "1_0.5", "10.5"),
        (Option(type="bool"), "Yes", "true"),
        (Option(type="bool"), False, "false"), (Option(type="bool"), "0", "false"),
        (Option(type="choice", choices=COLOURS), "red", "red"),
        (Option(type="multi", choices=COLOURS), ["blue", "red", "blue"], "blue,red"),
        (Option(type="multi", choices=COLOURS), " red , green ", "red,green"),
        (Option(type="multi", choices=COLOURS), "", ""),
    ],
)  # fmt: skip
def test_a_value_becomes_the_text_of_a_constant(option: Option, value: object, text: str) -> None:
    assert option.check("name", value) == text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (Option(), "a\x00b"), (Option(type="int"), "1.5"), (Option(type="int", min=2), "1"),
        (Option(type="int", max=2), "3"), (Option(type="float"), "nan"), (Option(type="float"), "many"),
        (Option(type="bool"), "perhaps"), (Option(type="choice", choices=COLOURS), "pink"),
        (Option(type="multi", choices=COLOURS), ["red", "pink"]),
        (Option(regex="[a-z]+", message="Small letters."), "A"),
        (Option(regex="[a-z]+", message="Small letters."), ""),
    ],
)  # fmt: skip
def test_a_value_that_may_not_be_entered_names_its_field_and_what_is_allowed(option: Option, value: object) -> None:
    with pytest.raises(InputError) as caught:
        option.check("name", value)
    assert caught.value.field == "option-name"
    assert caught.value.todo


def test_a_secret_is_hidden_from_output_and_from_errors() -> None:
    option = Option(type="secret", regex="[0-9]+", message="Digits.")
    with pytest.raises(InputError) as caught:
        option.check("key", "secret-of-somebody")
    assert "secret-of-somebody" not in f"{caught.value.what} {caught.value.todo}"
    assert "secret-of-somebody" not in redact("sent secret-of-somebody")


def test_a_field_is_required_if_its_empty_default_may_not_be_entered() -> None:
    assert Option(default="", regex=".+", message="Fill it in.").is_required
    assert not Option(default="").is_required
    assert str(Option(default="", regex=".+", message="Fill it in.").hint) == "Fill it in."


@pytest.mark.parametrize(
    "keys",
    [
        {"type": "choice"}, {"choices": ["a"]}, {"type": "multi", "choices": ["a,b"]},
        {"type": "choice", "choices": [" a"]},
        {"min": 1}, {"type": "int", "min": 2, "max": 1}, {"type": "int", "default": "x"}, {"regex": "["},
        {"regex": "a"}, {"type": "bool", "regex": "a", "message": "b"}, {"constant": "no space"}, {"typ": "int"},
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Option.model_validate(keys)


def test_every_type_can_be_declared() -> None:
    for kind in get_args(OptionType):
        choices = COLOURS if kind in {"choice", "multi"} else ()
        assert Option.model_validate({"type": kind, "choices": choices}).type == kind
