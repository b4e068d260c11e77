"""The table of sentences is complete, has nothing unused, and gets every fact that it names."""

from __future__ import annotations

import ast
import inspect
import string
from collections.abc import Iterator

import pytest
from support.repository import PACKAGE

from run_qarnot import errors, messages
from run_qarnot.state import EndReason, State

ERROR_NAMES = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
NO_FACTS = {"field", "details"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every place where one of our errors is made."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in ERROR_NAMES:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def codes(call: ast.Call) -> set[str]:
    """The codes written out as the first argument; it may be a choice of two."""
    argument = call.args[0]
    choices = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    return {node.value for node in choices if isinstance(node, ast.Constant) and isinstance(node.value, str)}


CALLS = [(place, call, code) for place, call in calls() for code in sorted(codes(call))]


def words_in_code() -> set[str]:
    """Every string in the package but the table itself: codes also stand in tables, such as that of HTTP statuses."""
    return {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.name != "messages.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_that_is_raised_has_a_sentence() -> None:
    assert {(place, code) for place, _, code in CALLS if code not in messages.ERRORS} == set()


def test_every_sentence_is_used() -> None:
    assert set(messages.ERRORS) - {code for _, _, code in CALLS} - words_in_code() == set()


@pytest.mark.parametrize(("place", "call", "code"), CALLS, ids=[f"{place}-{code}" for place, _, code in CALLS])
def test_a_sentence_gets_the_facts_that_it_names(place: str, call: ast.Call, code: str) -> None:
    given = {keyword.arg for keyword in call.keywords}
    if None not in given:  # `**facts` cannot be read from here
        assert named_facts(code) == given - NO_FACTS, place


def named_facts(code: str) -> set[str]:
    return {name for text in messages.ERRORS[code] for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_state_and_every_end_has_its_words() -> None:
    assert set(messages.STATES) == {state.value for state in State}
    assert set(messages.END_REASONS) == {reason.value for reason in EndReason}
