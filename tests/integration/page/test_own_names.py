"""What users name is theirs, in every language: also a name that is one of our own phrases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine
from support.pages import FORM, begin, cards, play_with_account, shows, start, synced, tell, upload
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.core import language
from run_qarnot.core.locale import Plural, en, fr
from run_qarnot.core.state import State
from run_qarnot.hooks.manager import Plugins, find_plugins
from run_qarnot.model.settings import Settings
from run_qarnot.page.build import Page

SESSION = "none"
FILES = ("Saving your files…", "the connection broke", "a table")
PLUGIN = """
from run_qarnot import Panel, hookimpl


@hookimpl
def rq_panel(session):
    return Panel("nothing", "the storage", ("text", "Package"), (("the machine", "a list"),))
"""
CATALOG = """schema = 1
[images.ours]
title = "the command"
app = "batch"
profile = "docker-batch"
command = "true"
options = { storage = { label = "the storage", type = "choice", choices = ["a space", "nothing"], constant = "X" } }
"""


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    language.set_language("en")


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    (tmp_path / "loading it.py").write_text(PLUGIN)
    (tmp_path / "bad.py").write_text(PLUGIN.replace("return Panel", "raise LookupError"))
    return find_plugins(Settings(plugins=tmp_path))


def test_the_names_are_phrases_of_ours() -> None:
    ours = {text for text in en.MESSAGES.values() if not isinstance(text, Plural)}
    assert {SESSION, "nothing", "the storage", "a space", "loading it", *FILES} <= ours
    assert all(en.MESSAGES[name] != fr.MESSAGES[name] for name in ("no-arguments", "nothing", "the-storage", "space"))


def test_the_page_shows_them_unchanged_in_french(
    cluster: LocalCluster, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(page: Page) -> None:
        tell(page.shell, "speak", {"language": "fr"})
        for number, name in enumerate(FILES):
            upload(page.start_card.files, number + 1, name, b"x")
        begin(page.start_card.files, 9, FILES[0], 5)
        assert page.start_card.files.problem["what"].startswith(f"Deux des fichiers deviendraient « {FILES[0]} »")
        tell(page.start_card, "form", {**FORM, "name": SESSION, "buckets": "nothing"})
        card = await start(page, "sleep 60", name=SESSION)
        await shows(card, State.READY)
        assert (card.view["name"], card.view["image"]) == (SESSION, "A command")
        assert card.view["phase"] == "En cours : la commande travaille", "what is ours is in French"
        await until(lambda: card.panels.panels, "the panel")
        (panel,) = card.panels.panels
        assert (panel["title"], panel["by"], panel["head"]) == ("nothing", "loading it.py", ["text", "Package"])
        assert panel["rows"] == [["the machine", "a list"]]
        assert panel["blocks"][0]["spans"][0]["text"] == "the storage"
        tell(card, "delete", {"files": False})
        await until(lambda: card.problem, "the sentence")
        assert card.problem["what"] == "« none » tourne encore."
        for french in ("aucun", "rien", "le stockage", "un tableau"):
            assert f'"{french}"' not in synced(page)
        assert list(cards(page)) == [SESSION]

    play_with_account(scene, cluster, plugins)
    assert "bad.py:7: `rq_panel` failed: LookupError" in caplog.text, "logs are in English in any language"


def test_a_bucket_is_called_as_it_is_called(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        tell(page.shell, "speak", {"language": "fr"})
        tell(page.environment_card, "choose", {"id": "base"})
        tell(page.start_card, "start", {**FORM, "buckets": "nothing"})
        await until(lambda: page.start_card.problem, "the sentence")
        assert page.start_card.problem["what"] == "Ce compte n’a pas de bucket « nothing »."

    play_with_account(scene, cluster)


def test_the_command_shows_them_unchanged_where_french_is_spoken(cluster: LocalCluster, tmp_path: Path) -> None:
    cli = CommandLine.of_account(cluster, tmp_path, LANG="fr_FR.UTF-8", LANGUAGE="fr")
    (cli.folder / "images.toml").write_text(CATALOG)
    (cli.folder / "plugins").mkdir(exist_ok=True)
    (cli.folder / "plugins" / "loading it.py").write_text(PLUGIN)
    refused = cli("launch", "ours", "--set", "storage=the machine", expect=1)
    assert "“the machine” is not valid for the storage: “the machine” is not offered." in refused.err
    cli("launch", "ours", "--name", SESSION, "--set", "storage=nothing")
    shown = cli("show", SESSION).out
    assert f"name     {SESSION}\n" in shown
    assert "nothing (loading it.py)\nthe storage\n" in shown
    assert json.loads(cli("show", SESSION, "--json").out)["name"] == SESSION
