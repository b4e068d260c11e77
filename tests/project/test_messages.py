"""The table of sentences is complete, has nothing unused, and gets every fact that it names."""

from __future__ import annotations

import ast
import inspect
import re
import string
from collections.abc import Iterator, Mapping

import pytest
from support.repository import PACKAGE

from run_qarnot.catalog import apps, validation
from run_qarnot.catalog.problem import make_problem
from run_qarnot.core import errors, language, messages, messages_fr
from run_qarnot.core.state import EndReason, State

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
        if path.name not in {"messages.py", "messages_fr.py"}
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


def named_facts(code: str, table: Mapping[str, messages.Words] = messages.ERRORS) -> set[str]:
    return {name for text in table[code] for name in gaps(text)}


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_state_and_every_end_has_its_words() -> None:
    assert set(messages.STATES) == {state.value for state in State}
    assert set(messages.END_REASONS) == {reason.value for reason in EndReason}


def literals(*, named: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the texts written as an argument of these names, with `{}` for what varies."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "cluster" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            for keyword in node.keywords if isinstance(node, ast.Call) else ():
                if keyword.arg in named and (text := _text_of(keyword.value)):
                    yield f"{path.relative_to(PACKAGE)}:{node.lineno}", text


def told(*, by: set[str]) -> Iterator[str]:
    """Yield the texts that the engine gives to these functions, with `{}` for what varies."""
    for path in sorted((PACKAGE / "engine").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).split(".")[-1] in by:
                yield _text_of(node.args[0])


def _text_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


class TestFrench:
    """The same tables, with the same facts."""

    def test_every_sentence_is_there(self) -> None:
        for table in ("STATES", "END_REASONS", "END_BEFORE_A_RUN", "ERRORS", "PROBLEMS", "PROBLEM_TAILS"):
            assert set(getattr(messages_fr, table)) == set(getattr(messages, table)), table

    @pytest.mark.parametrize("code", messages.ERRORS)
    def test_it_names_the_same_facts(self, code: str) -> None:
        assert named_facts(code, messages_fr.ERRORS) == named_facts(code)
        filled = [bool(part) for part in messages_fr.ERRORS[code]]
        assert filled == [bool(part) for part in messages.ERRORS[code]]

    @pytest.mark.parametrize("code", messages.PROBLEMS)
    def test_a_problem_of_a_catalog_names_the_same_facts(self, code: str) -> None:
        english, french = (sorted(gaps(table.PROBLEMS[code])) for table in (messages, messages_fr))
        assert english == french

    def test_what_a_catalog_must_hold_is_there(self) -> None:
        wanted = {text for place, text in literals(named={"wanted"}) if place.startswith(("catalog", "hooks"))}
        wanted |= {*messages.FORMS.values(), *validation._WANTED.values(), *validation._UNIONS.values()}
        wanted |= {words for _, _, words in validation._LIMITS.values()}
        assert wanted - set(messages_fr.PHRASES) == set()

    def test_a_problem_of_a_catalog_is_said_in_french(self) -> None:
        facts = {"wanted": "a whole number", "found": "“x”", "allowed": "5 or more", "nearest": "port"}
        problem = make_problem("type", "images.toml", entry="a", key="port", line=3, **facts)
        english = "must be a whole number (found “x”); allowed: 5 or more; did you mean “port”?"
        assert problem.message == english
        language.set_language("fr")
        try:
            assert str(problem) == (
                "images.toml:3: [images.a] port: doit être un nombre entier (trouvé : « x ») ; permis : 5 ou plus ; "
                "vouliez-vous dire « port » ?"
            )
        finally:
            language.set_language("en")
        assert problem.message == english

    @pytest.mark.parametrize(("english", "french"), messages_fr.PHRASES.items())
    def test_phrases_have_the_same_gaps(self, english: str, french: str) -> None:
        assert re.findall(r"\{n?\}", english) == re.findall(r"\{n?\}", french)

    def test_every_note_beside_a_state_is_there(self) -> None:
        notes = {text for _, text in literals(named={"note"})}
        notes |= set(told(by={"doing", "tell", "_tell", "tell_doing", "tell_trouble"})) - {""}
        assert notes - set(messages_fr.PHRASES) - {"{} {}", "Uploading {}: {} of {}"} == set()

    def test_an_error_is_said_in_french_with_its_phrases(self) -> None:
        language.set_language("fr")
        try:
            error = errors.InputError("token-shape", problem="a space or a line break")
            assert error.what == "Ce n’est pas un jeton Qarnot : il contient un espace ou un saut de ligne."
            assert messages.phase("ready", "JupyterLab") == "Prêt : JupyterLab répond"
            assert messages.end("ended", "deleted") == "Terminé. Elle a été supprimée."
            assert messages.say("The way to it is not open: no answer in time. Trying again; the session goes on.") == (
                "Le chemin vers elle n’est pas ouvert : pas de réponse à temps. Nouvel essai ; la session continue."
            )
            assert messages.say("contains a space, “!”, “B”") == "contient un espace, « ! », « B »"
            assert messages.say("Running: the command is at work") == "En cours : la commande travaille"
            assert messages.phase("ready", "the application") == "Prêt : l’application répond"
            hours = errors.InputError("hours", hours=0.0001, least=0.001, most=24.0)
            assert hours.todo == "Choisissez entre 0,001 et 24 heures."
            assert messages.say("a note of a plugin") == "a note of a plugin"
            assert messages.say("Uploading 2 files: 1.5 MB of 2.0 GB") == "Envoi de 2 fichiers : 1,5 Mo sur 2,0 Go"
            assert messages.say("Write 1e-05 or more.") == "Écrivez 1e-05 ou plus."
            assert messages.say("-0.5 is the least") == "-0,5 est le minimum"
            assert messages.say("“0.5” is not offered") == "« 0.5 » n’est pas proposé", "so it was typed"
        finally:
            language.set_language("en")
        assert messages.say("Stopping…") == "Stopping…"
        assert messages.error_words("hours", hours.facts).todo == "Choose between 0.001 and 24 hours."

    def test_the_apps_have_a_name(self) -> None:
        titles = {app.title for app in apps.BUILTIN.values()} - {"JupyterLab"}
        assert titles - set(messages_fr.PHRASES) == set()

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
    def test_the_browser_says_which(self, header: str, expected: str) -> None:
        assert language.preferred(header) == expected
