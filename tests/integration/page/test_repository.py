"""A repository and files of the web from the form: fetched with a token that the browser never gets back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.git_server import make_repository, serving
from support.pages import FORM, NAME, cards, play_with_account, reasons, record, shows, start, synced, tell
from support.waiting import until
from support.web_server import web_server

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.page.build import Page

TOKEN = "token-of-a-private-repository-0123"


def test_a_private_repository_comes_along_and_its_token_is_forgotten(cluster: LocalCluster, tmp_path: Path) -> None:
    make_repository(tmp_path / "project.git", {"data.csv": "x"})

    async def scene(page: Page) -> None:
        calls = record(page.start_card)
        wanted = {**FORM, "git": f"{address}project.git@main", "hours": "1"}
        tell(page.environment_card, "choose", {"id": "base"})
        tell(page.environment_card, "option", {"name": "command", "value": "cat project/data.csv"})
        tell(page.start_card, "start", wanted)
        await until(lambda: page.start_card.problem, "that it wants a token")
        assert NAME not in cards(page)
        tell(page.start_card, "form", {**wanted, "git_token": TOKEN})
        for image in ("torch", "base"):  # the browser is told what the form says
            tell(page.environment_card, "choose", {"id": image})
        assert page.start_card.draft["git"] == wanted["git"]
        assert TOKEN not in synced(page)
        tell(page.environment_card, "option", {"name": "command", "value": "cat project/data.csv"})
        tell(page.start_card, "start", {**wanted, "git_token": TOKEN})
        await until(lambda: NAME in cards(page), "the card")
        await shows(cards(page)[NAME], State.ENDED)
        assert ("forget_secrets", []) in calls
        assert page.form.current.git_token == ""
        assert TOKEN not in synced(page)
        assert TOKEN not in str(calls)
        session = cards(page)[NAME].session
        assert TOKEN not in str(session.facts)
        assert TOKEN not in page.form.share_session(session, "http://localhost/").link
        card = cards(page)[NAME]
        assert card.view["repository"] == "project"
        tell(card, "go_on", {"image": "", "hours": "", "idle": "", "update": True})
        await until(lambda: card.problem, "that a command does not update it")
        assert "cannot update a repository when it starts" in card.problem["what"]
        tell(card, "again")
        assert (page.form.current.git, page.form.current.open) == ("", "project"), "its copy has it among its files"
        storage = page.account.current.client.storage.blocking  # type: ignore[union-attr]
        for file in await asyncio.to_thread(storage.files, f"{NAME}-in"):
            assert TOKEN.encode() not in b"".join(await asyncio.to_thread(storage.read, f"{NAME}-in", file.key))

    with serving(tmp_path, TOKEN) as address:
        play_with_account(scene, cluster)


def test_a_server_that_others_use_too_fetches_nothing_from_its_own_network(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(tmp_path / "project.git", {"data.csv": "x"})
    monkeypatch.setenv("RUN_QARNOT_VISITORS", "elsewhere")

    async def scene(page: Page) -> None:
        tell(page.start_card, "start", {**FORM, "git": f"{address}project.git"})
        await until(lambda: page.start_card.problem, "that it is not fetched")
        assert "own network" in page.start_card.problem["what"]
        files = page.start_card.files
        tell(files, "addresses", {"addresses": [f"{address}data.csv"]})
        await until(lambda: files.problem, "that the file is not fetched")
        assert "own network" in files.problem["what"]
        assert files.rows == []

    with serving(tmp_path) as address:
        play_with_account(scene, cluster)


def test_addresses_of_files_are_in_the_list_with_their_size_and_come_with_the_session(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        files = page.start_card.files
        tell(files, "addresses", {"addresses": [server.url("data.csv?key=of-nobody"), server.url("large.bin")]})
        await until(lambda: len(files.rows) == 2, "both files")
        assert [(row["name"], row["size"], row["sized"]) for row in files.rows] == [
            ("data.csv", 5, True),
            ("large.bin", len(large), True),
        ]
        assert "of-nobody" not in synced(page)
        calls = record(files)
        tell(files, "addresses", {"addresses": [server.url("nothing"), server.url("third.csv")]})
        await until(lambda: files.problem, "that there is no such file")
        assert calls[-1] == ("addresses_left", [server.url("nothing")]), "it can be put right; the other one came"
        assert [row["name"] for row in files.rows] == ["data.csv", "large.bin", "third.csv"]
        assert reasons(page) == []
        card = await start(page, "wc -c data.csv large.bin")
        await shows(card, State.ENDED)
        assert files.rows == []
        assert f"{len(large)} large.bin" in await card.session.logs()
        assert page.form.current.name != NAME
        running = await start(page, "until [ -f more.csv ]; do sleep 0.1; done; cat more.csv", name="waits")
        await shows(running, State.READY)
        tell(running.files, "addresses", {"addresses": [server.url("more.csv")]})
        await until(lambda: running.can_add, "the file to be in the list")
        tell(running, "add", {"replace": False})
        await shows(running, State.ENDED)
        assert "of the web" in await running.session.logs()

    large = bytes(9_000_000)
    with web_server(
        files={"data.csv": b"a,b,c", "large.bin": large, "more.csv": b"of the web", "third.csv": b""}
    ) as server:
        play_with_account(scene, cluster)
