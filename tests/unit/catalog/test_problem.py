"""What is wrong in a catalog, for people and for programs."""

from __future__ import annotations

import pytest

from run_qarnot.catalog.problem import ProblemFacts, make_problem, show_value
from run_qarnot.core.messages import Message

WANTED = Message("uploading")


def test_it_is_shown_with_its_place() -> None:
    facts: ProblemFacts = {"found": "“x”", "wanted": WANTED, "nearest": "z"}
    whole = make_problem("type", "images.toml", entry="lab", key="port", line=3, **facts)
    assert str(whole) == f"images.toml:3: [images.lab] port: {whole.message}"
    assert str(make_problem("type", "a plugin", **facts)) == f"a plugin: {whole.message}"
    assert (whole.warning, whole.details) == (False, "")


def test_programs_get_every_part() -> None:
    problem = make_problem(
        "type", "images.toml", entry="lab", key="port", line=3, details="trace", warning=True, found="5", wanted=WANTED
    )
    assert problem.as_json() == {
        "source": "images.toml", "entry": "lab", "key": "port", "message": problem.message, "line": 3,
        "details": "trace", "code": "type", "found": "5", "allowed": "", "nearest": "", "warning": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (False, "false"), ("x", "“x”"), (5, "5"), ([1], "[1]"), (0.5, "0.5"),
     ("x" * 78, f"“{'x' * 78}”"), ("x" * 79, f"“{'x' * 77}…”")],
)  # fmt: skip
def test_a_value_is_shown_as_in_toml_and_short(value: object, shown: str) -> None:
    assert str(show_value(value)) == shown
    assert len(shown) <= 80
