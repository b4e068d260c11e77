"""Panels of plugins on a session's card: refreshed when something happened, and nothing waits for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.pages import play_with_account, shows, sign_in, start, tell
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.hooks.manager import Plugins, find_plugins
from run_qarnot.model.settings import Settings
from run_qarnot.page.build import Page
from run_qarnot.page.components.session import SessionCard

PLUGIN = """
import pathlib
import threading

from run_qarnot import Panel, hookimpl

HERE = pathlib.Path(__file__).parent
HEAD = {"en": "Package", "fr": "Paquet"}


@hookimpl
def rq_panel(session):
    with (HERE / "asked").open("a") as file:
        print(session.state, session.saved, file=file)
    while (HERE / "wait").exists():
        threading.Event().wait(0.01)
    saved = "saved" if session.saved else "not saved"
    return Panel(f"{session.state}, {saved}", "**3** packages", (HEAD, "none"), [["a cell " * 90]] * 2000)
"""


def plugins(folder: Path) -> Plugins:
    (folder / "ours.py").write_text(PLUGIN)
    return find_plugins(Settings(plugins=folder))


def asked(folder: Path) -> list[str]:
    """What the plugin was asked about: state, and time of the last save."""
    return (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []


def panel(card: SessionCard) -> dict[str, Any]:
    panels: list[dict[str, Any]] = card.panels.panels
    return panels[0] if panels else {"title": ""}


def test_they_are_refreshed_when_the_state_changes_and_when_it_was_saved(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")
        await until(lambda: panel(card)["title"].startswith("ready"), "the panel of a session that is ready")
        tell(card, "save")
        await until(lambda: panel(card)["title"] == "ready, saved", "the panel after a save")
        tell(card, "stop", {"save": False})
        await until(lambda: panel(card)["title"] == "ended, saved", "the panel of the ended session")
        seen = asked(tmp_path)
        assert len(seen) == len(set(seen)), "nobody is asked when nothing has happened"

    play_with_account(scene, cluster, plugins(tmp_path))


def test_what_is_shown_is_text_by_the_name_of_the_plugin_as_far_as_one_reads_it(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "true")
        await until(lambda: panel(card)["title"], "the panel")
        shown = panel(card)
        assert (shown["by"], shown["head"], shown["count"]) == ("ours.py", ["Package", "none"], 2000)
        assert [span["style"] for span in shown["blocks"][0]["spans"]] == ["strong", ""]
        assert (len(shown["rows"]), len(shown["rows"][0][0])) == (500, 500)
        page.set_language("fr")
        assert panel(card)["head"] == ["Paquet", "none"], "what it has in the other language, without asking again"
        page.set_language("en")

    play_with_account(scene, cluster, plugins(tmp_path))


def test_a_plugin_that_takes_its_time_keeps_nothing_waiting(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(page: Page) -> None:
        (tmp_path / "wait").touch()
        card = await start(page, "true")
        await until(lambda: asked(tmp_path), "the plugin to be asked")
        await shows(card, State.ENDED)
        assert len(asked(tmp_path)) == 1
        assert panel(card)["title"] == ""
        (tmp_path / "wait").unlink()
        await until(lambda: panel(card)["title"].startswith("ended"), "the panel of the ended session")

    play_with_account(scene, cluster, plugins(tmp_path))


def test_of_an_ended_session_they_are_asked_for_when_somebody_looks(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "true")
        await shows(card, State.ENDED)
        await until(lambda: panel(card)["title"].startswith("ended"), "its panel")
        tell(page.account_card, "change")
        before = asked(tmp_path)
        await sign_in(page, cluster.token)
        (again,) = page.shell.ended
        assert again.folded
        assert asked(tmp_path) == before
        tell(again, "unfolded")
        await until(lambda: panel(again)["title"].startswith("ended"), "its panel")

    play_with_account(scene, cluster, plugins(tmp_path))
