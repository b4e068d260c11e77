"""What is wrong with catalog and plugins, and with us: named to everybody, with tracebacks for admins alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.pages import catalog, play, play_with_account, settings_of, sign_in, start, tell
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.problem import make_problem, show_value
from run_qarnot.core.errors import NotFoundError
from run_qarnot.core.messages import Verbatim
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import Settings
from run_qarnot.page.build import Page
from run_qarnot.page.problems import as_problem
from run_qarnot.page.props import problem_rows

TRACEBACK = "Traceback (most recent call last): a line of the source"
FAILED = make_problem("plugin-failed", "ours.py", hook="rq_panel", problem=Verbatim("KeyError: x"), details=TRACEBACK)
LOADED = make_problem("plugin-load", "broken.py", problem=Verbatim("SyntaxError: x"), details=TRACEBACK)
BAD = make_problem(
    "key-unknown", "images.toml", entry="bad", key="titel", line=3, found=show_value("titel"), nearest="title"
)
ALSO = make_problem("key-missing", "images.toml", entry="bad", key="repo", line=2)
NOTE = make_problem("constant", "images.toml", entry="base", key="constants.X", warning=True, profile="jupyterlab")
OPTION = make_problem("option-twice", "ours.py", entry="base", option="x", first="images.toml")


def test_one_row_for_each_entry_or_plugin_titled_by_its_source() -> None:
    rows = problem_rows(Catalog(catalog().images, (BAD, ALSO, FAILED, LOADED)))
    assert [(row["by"], row["title"], len(row["reason"].splitlines())) for row in rows] == [
        ("images.toml", "bad", 2),
        ("ours.py", "ours.py", 1),
        ("broken.py", "broken.py", 1),
    ]
    assert (
        rows[0]["reason"].splitlines()[0].endswith("titel: there is no such key (found “titel”); did you mean “title”?")
    )


def test_another_language_says_them_again() -> None:
    async def scene(page: Page) -> None:
        page.catalog = Catalog(catalog().images, (BAD,))
        page.form.show_problems()
        assert "there is no such key" in page.environment_card.broken[0]["reason"]
        try:
            page.set_language("fr")
            assert "il n’y a pas de telle clé (trouvé : « titel »)" in page.environment_card.broken[0]["reason"]
        finally:
            page.set_language("en")

    play(scene)


def test_what_works_all_the_same_is_not_called_unusable() -> None:
    def level(*problems: object) -> str:
        (row,) = problem_rows(Catalog(catalog().images, problems))  # type: ignore[arg-type]
        return str(row["level"])

    assert level(BAD) == "broken"
    assert level(FAILED) == "partly", "its other hooks work"
    assert level(OPTION) == "partly", "the image works"
    assert level(NOTE) == "note"
    assert level(NOTE, make_problem("icon", "images.toml", entry="base", key="icon")) == "partly"


@pytest.mark.parametrize(("admins", "told"), [("", False), ("bob@example.org", False), ("OURS", True), ("*", True)])
def test_tracebacks_are_for_admins_once_it_is_known_who_they_are(
    cluster: LocalCluster, tmp_path: Path, admins: str, told: bool
) -> None:
    (tmp_path / "broken.py").write_text("a_line_of_the_source = 1 / 0")
    plugins = find_plugins(Settings(plugins=tmp_path))
    settings = replace(settings_of(cluster), admins=frozenset({admins.replace("OURS", cluster.email)}))

    def state(page: Page) -> str:
        return json.dumps(page.environment_card.get_state(), default=str)

    async def scene(page: Page) -> None:
        assert "ZeroDivisionError" in state(page), "the reason is for everybody"
        assert "a_line_of_the_source" not in state(page)
        await sign_in(page, cluster.token)
        assert ("a_line_of_the_source" in state(page)) is told
        tell(page.account_card, "change")
        assert "a_line_of_the_source" not in state(page), "whoever comes next may be somebody else"

    play(scene, settings, plugins)


@pytest.mark.parametrize("hook", ["rq_panel(session)", "rq_prepare(plan)"])
def test_a_plugin_that_fails_later_gets_its_row_then(cluster: LocalCluster, tmp_path: Path, hook: str) -> None:
    (tmp_path / "later.py").write_text(f"from run_qarnot import hookimpl\n\n@hookimpl\ndef {hook}:\n    1 / 0\n")

    async def scene(page: Page) -> None:
        def rows() -> list[str]:
            return [row["by"] for row in page.environment_card.broken]

        assert "later.py" not in rows()
        await start(page, "true")
        await until(lambda: rows().count("later.py") == 1, "the plugin's row")

    play_with_account(scene, cluster, find_plugins(Settings(plugins=tmp_path)))


def test_a_fault_of_ours_is_reported_without_source_and_paths() -> None:
    def a_function_of_ours() -> None:
        raise KeyError("x")  # a line of the source

    with pytest.raises(KeyError) as caught:
        a_function_of_ours()
    problem = as_problem(caught.value)
    assert "KeyError" in problem["what"]
    assert "page/test_problems.py" in problem["report"]
    assert "a_function_of_ours" in problem["report"]
    assert "Run Qarnot 0" in problem["report"]
    for hidden in ("Traceback", "raise KeyError", "a line of the source", str(Path(__file__).parents[3])):
        assert hidden not in json.dumps(problem)


def test_what_was_expected_keeps_its_sentence_and_can_be_reported() -> None:
    error = NotFoundError("session-unknown", details="the last lines: http://x/?token=abcdefgh", text="x")
    problem = as_problem(error)
    assert problem["what"] == "There is no session “x” in this account."
    assert problem["report"].endswith("\nthe last lines: http://x/?token=[hidden]")
