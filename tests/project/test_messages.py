"""The project's messages: every one is used, has the facts that it names, and no text of ours goes past them."""

from __future__ import annotations

import ast
import inspect
import re
import string
from collections.abc import Iterator

import pytest
from support.repository import PACKAGE, ROOT

from run_qarnot.catalog import apps, validation
from run_qarnot.catalog.problem import make_problem, show_value
from run_qarnot.core import errors, language, messages
from run_qarnot.core.locale import Plural, en
from run_qarnot.core.messages import Message, Verbatim

ERROR_NAMES = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
NO_FACTS = {"field", "details"}
TEXTS = messages._texts("en")
TAILS = {"found", "allowed", "nearest"}
PLACE = {"entry", "key", "line", "details", "warning"}


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of functions of these names that has an argument."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in names:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def codes(call: ast.Call) -> set[str]:
    """The codes written out as the first argument; it may be a choice of two."""
    argument = call.args[0]
    choices = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    return {node.value for node in choices if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def coded(*names: str) -> list[tuple[str, ast.Call, str]]:
    return [(place, call, code) for place, call in calls(*names) for code in sorted(codes(call))]


ERRORS = coded(*ERROR_NAMES)
MESSAGES = coded("Message")
PROBLEMS = coded("make_problem", "report", "fault")


def words_in_code() -> set[str]:
    """Every string in the package but the tables: ids also stand in tables, such as that of HTTP statuses."""
    return {
        node.value
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "locale"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def beginnings_in_code() -> set[str]:
    """What ids begin with that are made where they are used, such as `f"limit.{name}"`."""
    return {
        str(call.args[0].values[0].value)
        for _, call in calls("Message")
        if isinstance(call.args[0], ast.JoinedStr) and isinstance(call.args[0].values[0], ast.Constant)
    }


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def named_facts(message_id: str) -> set[str]:
    text = TEXTS[message_id]
    return {"count"}.union(*map(gaps, text)) if isinstance(text, Plural) else gaps(text)


def given_facts(call: ast.Call) -> set[str] | None:
    """The names of the facts; None where `**facts` cannot be read from here."""
    given = {keyword.arg for keyword in call.keywords}
    return None if None in given else {name for name in given if name is not None}


def test_every_code_and_every_id_has_a_text() -> None:
    assert {(place, code) for place, _, code in ERRORS if code not in en.ERRORS} == set()
    assert {(place, code) for place, _, code in MESSAGES if code not in TEXTS} == set()
    assert {(place, code) for place, _, code in PROBLEMS if code not in en.PROBLEMS} == set()


def test_every_text_is_used() -> None:
    words, beginnings = words_in_code(), beginnings_in_code()
    assert set(en.ERRORS) - {code for _, _, code in ERRORS} - words == set()
    assert set(en.PROBLEMS) - {code for _, _, code in PROBLEMS} - words == set()
    rest = set(en.MESSAGES) - {code for _, _, code in MESSAGES} - words
    assert {code for code in rest if not any(code.startswith(beginning) for beginning in beginnings)} == set()


@pytest.mark.parametrize(("place", "call", "code"), ERRORS, ids=[f"{place}-{code}" for place, _, code in ERRORS])
def test_an_error_gets_the_facts_that_it_names(place: str, call: ast.Call, code: str) -> None:
    if (given := given_facts(call)) is not None:
        parts = (f"error.{code}.{part}" for part in ("what", "todo", "typed"))
        assert set().union(*map(named_facts, parts)) == given - NO_FACTS, place


@pytest.mark.parametrize(("place", "call", "code"), MESSAGES, ids=[f"{place}-{code}" for place, _, code in MESSAGES])
def test_a_message_gets_the_facts_that_it_names(place: str, call: ast.Call, code: str) -> None:
    if (given := given_facts(call)) is not None:
        optional = {"text"} if isinstance(call.args[0], ast.IfExp) else set()  # that only one of two names
        assert named_facts(code) | optional == given | optional, place


@pytest.mark.parametrize(("place", "call", "code"), PROBLEMS, ids=[f"{place}-{code}" for place, _, code in PROBLEMS])
def test_a_problem_gets_the_facts_that_it_names(place: str, call: ast.Call, code: str) -> None:
    if (given := given_facts(call)) is not None:
        assert named_facts(f"problem.{code}") == given - PLACE - TAILS, place


def test_what_is_made_from_a_part_of_an_id_is_there() -> None:
    for app in apps.BUILTIN.values():
        assert app.kind == "jupyterlab" or app.title == Message(f"app.{app.kind}")
    ids = {f"limit.{name}" for _, name in validation._LIMITS.values()} | {words for _, words in apps._TYPES.values()}
    assert ids <= set(TEXTS)


def test_no_text_of_ours_is_said_to_be_of_somebody_else() -> None:
    """A literal as `Verbatim` would be English in every language; so would one as a fact that is a part of a sentence.

    The type checker refuses text for `problem`, `hint`, `reason` and `message` unless it is `Verbatim`.
    """
    wrong = [place for place, call in calls("Verbatim") if _is_prose(call.args[0])]
    for place, call in calls(*ERROR_NAMES, "Message", "make_problem", "report", "fault"):
        wrong += [f"{place} {keyword.arg}" for keyword in call.keywords if _is_prose(keyword.value)]
    assert wrong == []


def _is_prose(node: ast.expr) -> bool:
    """Whether an expression has words of ours in it; names of things, such as `--base` or `https://…`, are none."""
    found = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))
    return any(re.search(r"[A-Za-z]{2,} +[A-Za-z]{2,}", text) for text in found)


def test_no_sentence_is_matched_against_english() -> None:
    """Texts are looked up by id: a user's own name that looks like one of ours stays as it is."""
    for path in (PACKAGE / "core" / "locale").glob("*.py"):
        assert "import re" not in path.read_text()
    assert "import re" not in (PACKAGE / "core" / "messages.py").read_text()


def test_a_problem_of_a_catalog_is_said_in_french() -> None:
    wanted, allowed = Message("type.integer"), Message("limit.ge", number="5")
    problem = make_problem(
        "type",
        "images.toml",
        entry="a",
        key="port",
        line=3,
        wanted=wanted,
        found=show_value("x"),
        allowed=allowed,
        nearest="port",
    )
    english = "must be a whole number (found “x”); allowed: 5 or more; did you mean “port”?"
    assert problem.message == english
    language.set_language("fr")
    try:
        assert str(problem) == (
            "images.toml:3: [images.a] port: doit être un nombre entier (trouvé : « x ») ; permis : 5 ou plus ; "
            "vouliez-vous dire « port » ?"
        )
        row = problem.as_json()
        assert (row["message"], row["allowed"]) == (english, "5 or more"), "programs get English"
    finally:
        language.set_language("en")


def test_the_plugin_that_knows_several_languages_has_all_of_them() -> None:
    source = (ROOT / "plugins" / "receipt.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Dict)
            and node.keys
            and isinstance(node.keys[0], ast.Constant)
            and node.keys[0].value == "en"
        ):
            assert [ast.literal_eval(key) for key in node.keys if key] == list(language.LANGUAGES)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("fr", "fr"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("de, fr;q=0.4, en;q=0.2", "fr"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=0", "en"),
        ("fr;q=x, ;;, ,q=,", "en"),
    ],
)
def test_the_browser_says_which(header: str, expected: str) -> None:
    assert language.preferred(header) == expected


def test_a_fact_of_somebody_else_stays_as_it_is() -> None:
    language.set_language("fr")
    try:
        error = errors.UnreachableError("unreachable", cluster="none", problem=Verbatim("the connection broke"))
        assert error.what == "Le cluster none ne répond pas : the connection broke."
    finally:
        language.set_language("en")
