"""The files of a session, on its card: results looked into and sent, inputs added, all of it deleted."""

from __future__ import annotations

import urllib.request
from functools import partial

from support.pages import NAME, begin, cards, play_with_account, record, shows, start, tell, upload
from support.waiting import turn, until

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.page.build import Page
from run_qarnot.page.components.results import ResultsPanel


def stored(page: Page, bucket: str) -> dict[str, bytes]:
    """What is in a bucket."""
    assert page.account.current is not None
    storage = page.account.current.client.storage.blocking
    return {file.key: b"".join(storage.read(bucket, file.key)) for file in storage.files(bucket)}


def is_shown(results: ResultsPanel, key: str) -> bool:
    return bool(results.shown) and results.shown["key"] == key


def test_only_files_that_were_listed_are_shown_or_sent(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        results = (await start(page, "echo 'content of a' > a.txt")).results
        calls = record(results)
        await until(lambda: results.listing is not None, "the list")
        assert [file["key"] for file in results.listing["files"]] == ["a.txt"]
        tell(results, "look", {"key": "a.txt"})
        await until(lambda: results.shown, "the look into a file")
        assert results.shown["blocks"] == [{"kind": "output", "text": "content of a\n"}]
        assert results.shown["note"] == ""
        tell(results, "look_away")
        tell(results, "fetch", {"key": "a.txt"})
        await until(lambda: calls, "the address")
        ((method, (address, _key)),) = calls
        assert method == "open"
        calls.clear()
        with urllib.request.urlopen(address, timeout=5) as answer:
            assert answer.read() == b"content of a\n"
        for hostile in ("../a.txt", "b.txt", 3, None):
            tell(results, "look", {"key": hostile})
            tell(results, "fetch", {"key": hostile})
            tell(results, "download", {"keys": [hostile]})
        tell(results, "fetch", {"key": "a.txt"})  # what was asked for before it would be there before it
        await until(lambda: calls, "the address")
        ((method, (address, _key)),) = calls
        assert "/a.txt?" in address
        assert results.shown is None
        assert results.problem is None

    play_with_account(scene, cluster)


def test_a_notebook_of_several_mib_is_shown_as_its_cells(cluster: LocalCluster) -> None:
    """They are as large as that with a few plots in them; of a text the first MiB will do."""
    cells = """{"cells": [{"cell_type": "code", "source": "%s"}]}"""
    command = f"printf '{cells}' $(head -c 3000000 /dev/zero | tr '\\0' x) | tee a.ipynb > a.txt"

    async def scene(page: Page) -> None:
        results = (await start(page, command)).results
        await until(lambda: results.listing is not None, "the list")
        for name, kind in (("a.ipynb", "code"), ("a.txt", "output")):
            tell(results, "look", {"key": name})
            await until(partial(is_shown, results, name), name)
            assert [block["kind"] for block in results.shown["blocks"]] == [kind]
            assert results.shown["note"] == "cut"

    play_with_account(scene, cluster)


def test_what_a_zip_cannot_hold_is_renamed_and_said(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        results = (await start(page, "touch 'a\\b.txt' 'a:b.txt'")).results
        await until(lambda: results.listing is not None, "the list")
        assert results.renamed == []
        tell(results, "download", {"keys": []})
        await until(lambda: results.renamed, "the other name")
        assert results.renamed == [{"key": "a\\b.txt", "path": "a_b.txt"}]

    play_with_account(scene, cluster)


def test_without_a_server_for_downloads_a_sentence_says_so(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        results = (await start(page, "true")).results
        tell(results, "download", {"keys": []})
        await until(lambda: results.problem, "the sentence")
        assert "does not offer downloads" in results.problem["what"]

    play_with_account(scene, cluster)


def test_files_are_added_to_a_running_session_once_they_are_here(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "until cat more.csv; do sleep 0.1; done; sleep 60")
        calls = record(card)
        await shows(card, State.READY)
        tell(card, "log", {"open": True})
        tell(card, "add", {"replace": False})
        await turn()
        assert not card.busy, "there is nothing to add"
        begin(card.files, 7, "more.csv", 4)
        await until(lambda: not card.can_add, "the file to be shown as coming")
        tell(card, "add", {"replace": False})
        await turn()
        assert not card.busy
        tell(card.files, "part", {"id": 7, "offset": 0}, b"abc\n")
        await until(lambda: card.can_add, "the file to be shown as here")
        cluster.control.delay("s3:PutObject", 0.2, times=1)
        tell(card, "add", {"replace": False})
        await until(lambda: card.busy, "the sending to begin")
        begin(card.files, 8, "later.csv", 3)
        await until(lambda: not card.busy, "the files to be sent")
        assert stored(page, f"{NAME}-in") == {"more.csv": b"abc\n"}
        assert [row["name"] for row in card.files.rows] == ["later.csv"]
        await until(lambda: ("append", [["abc"]]) in calls, "the machine to have it")

    play_with_account(scene, cluster)


def test_files_are_added_to_a_session_that_waits_for_its_machine(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        cluster.control.hold("Submitted")
        card = await start(page, "cat more.csv && sleep 60")
        calls = record(card)
        await shows(card, State.WAITING)
        tell(card, "log", {"open": True})
        upload(card.files, 7, "more.csv", b"abc\n")
        await until(lambda: card.can_add, "the file to be here")
        tell(card, "add", {"replace": False})
        await until(lambda: not card.files.rows, "the file to be sent")
        assert stored(page, f"{NAME}-in") == {"more.csv": b"abc\n"}
        cluster.control.release()
        await shows(card, State.READY)

        def printed() -> list[str]:
            return [line for name, data in calls if name == "append" for line in data[0]]

        await until(lambda: "abc" in printed(), "the machine to have it")

    play_with_account(scene, cluster)


def test_several_that_are_refused_are_all_counted_and_the_rest_comes(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        files = page.start_card.files
        names = ["good.txt", "../up", "a\\b", *(f"/{number}" for number in range(5))]
        tell(
            files,
            "begin",
            {"files": [{"id": n, "name": name, "size": 3, "direct": False} for n, name in enumerate(names)]},
        )
        await until(lambda: files.problem, "the sentence")
        what = files.problem["what"]
        assert "Not added (7): '../up', " in what
        assert what.count("…") == 1, "five are named"
        assert [row["name"] for row in files.rows] == ["good.txt"]
        files.problem = None
        tell(files, "unlisted", {"names": ["locked/folder"]})
        await until(lambda: files.problem, "the sentence")
        assert "locked/folder" in files.problem["what"]

    play_with_account(scene, cluster)


def test_results_that_could_not_be_listed_are_looked_for_again(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "echo abc > a.txt")
        await shows(card, State.ENDED)
        await until(lambda: card.results.listing, "the results")
        card.results.listing, card.results.problem = None, {"what": "it failed"}
        tell(card.results, "load")
        await until(lambda: card.results.listing, "the results again")
        assert card.results.problem is None

    play_with_account(scene, cluster)


def test_what_could_not_be_sent_is_still_in_the_list(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        upload(page.start_card.files, 1, "data", b"old")
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        upload(card.files, 7, "data", b"new")
        tell(card, "add", {"replace": False})
        await until(lambda: card.files.problem, "the sentence")
        assert "data" in card.files.problem["what"]
        assert len(card.files.rows) == 1
        assert stored(page, f"{NAME}-in") == {"data": b"old"}
        tell(card, "add", {"replace": True})
        await until(lambda: not card.files.rows, "the file to be sent")
        assert (stored(page, f"{NAME}-in"), card.added, card.files.problem) == ({"data": b"new"}, 1, None)

    play_with_account(scene, cluster)


def test_the_card_goes_when_the_session_is_deleted(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        upload(page.start_card.files, 1, "x", b"abc")
        card = await start(page, "echo y > y")
        await until(lambda: card.results.listing is not None, "the results")
        assert [row["name"] for row in page.start_card.resumable] == [NAME]
        tell(page.start_card, "look")
        await until(lambda: page.start_card.resumable[0]["size"] == 2, "its size to be known")
        assert (stored(page, f"{NAME}-in"), stored(page, f"{NAME}-out")) == ({"x": b"abc"}, {"y": b"y\n"})
        tell(card, "delete", {"files": True})
        await until(lambda: not cards(page), "the card to go")
        assert page.start_card.resumable == []
        assert page.account.current is not None
        assert await page.account.current.sessions() == []
        assert (stored(page, f"{NAME}-in"), stored(page, f"{NAME}-out")) == ({}, {})

    play_with_account(scene, cluster)


def test_it_stays_when_it_cannot_be_deleted(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")
        await shows(card, State.READY)
        tell(card, "delete", {"files": False})
        await until(lambda: card.problem, "the sentence")
        assert "still running" in card.problem["what"]
        assert cards(page) == {NAME: card}
        assert page.account.current is not None
        assert [session.view.name for session in await page.account.current.sessions()] == [NAME]

    play_with_account(scene, cluster)
