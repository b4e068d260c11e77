"""The results of a session: only keys that were listed are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from support.pages import record, tell
from support.waiting import turn, until

from run_qarnot.model.files import StoredFile
from run_qarnot.page.background import Background
from run_qarnot.page.components.results import ResultsPanel
from run_qarnot.page.downloads import Downloads

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FILES = [StoredFile(key, len(key), NOW) for key in ("a/notes.txt", "a//c.txt")]


class Bucket:
    """Answers as the bucket of a session's results does."""

    def __init__(self) -> None:
        self.zipped: list[Sequence[StoredFile] | None] = []

    async def files(self) -> list[StoredFile]:
        return FILES

    async def address(self, key: str) -> str:
        return f"https://storage/{key}?signature=secret"

    def head(self, key: str, count: int) -> bytes:
        return b"first line\n"

    def zip(self, files: Sequence[StoredFile] | None) -> Any:
        self.zipped.append(files)
        return []


def play(tasks: Background, scene: Callable[[ResultsPanel, Bucket], Awaitable[None]]) -> ResultsPanel:
    async def whole() -> ResultsPanel:
        bucket = Bucket()
        session: Any = SimpleNamespace(
            view=SimpleNamespace(name="calm", reference="calm", started=None), results=bucket
        )
        panel = ResultsPanel(tasks, session, Downloads(None))
        await panel.load()
        await scene(panel, bucket)
        return panel

    return asyncio.run(whole())


def test_a_file_is_fetched_from_an_address_that_is_no_trait(tasks: Background) -> None:
    async def scene(panel: ResultsPanel, _bucket: Bucket) -> None:
        calls = record(panel)
        tell(panel, "fetch", {"key": "a/notes.txt"})
        await until(lambda: calls, "the address")
        assert calls == [("open", ["https://storage/a/notes.txt?signature=secret", "a/notes.txt"])]

    assert "signature" not in str(play(tasks, scene).get_state())


def test_a_look_shows_the_beginning_of_a_file(tasks: Background) -> None:
    async def scene(panel: ResultsPanel, _bucket: Bucket) -> None:
        tell(panel, "look", {"key": "a/notes.txt"})
        await until(lambda: panel.shown, "the look")
        assert "first line" in str(panel.shown)
        tell(panel, "look_away")
        assert panel.shown is None

    play(tasks, scene)


def test_keys_that_were_not_listed_are_dropped(tasks: Background) -> None:
    async def scene(panel: ResultsPanel, bucket: Bucket) -> None:
        calls = record(panel)
        tell(panel, "fetch", {"key": "../secret"})
        tell(panel, "look", {"key": "../secret"})
        tell(panel, "download", {"keys": ["a/notes.txt", "../secret"]})
        tell(panel, "download", {"keys": "a/notes.txt"})
        await turn()
        await turn()
        assert (calls, bucket.zipped, panel.shown, panel.problem) == ([], [], None, None)

    play(tasks, scene)


def test_names_that_change_in_a_zip_are_listed(tasks: Background) -> None:
    async def scene(panel: ResultsPanel, _bucket: Bucket) -> None:
        rows = panel._names_in_zip(FILES)
        assert [row["key"] for row in rows] == ["a//c.txt"]
        assert [row["path"] for row in rows] == ["a/c.txt"]

    play(tasks, scene)
