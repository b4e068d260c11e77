"""The list of files: what the browser announces, sends, retries and removes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.pages import begin, record, tell, upload
from support.waiting import turn

from run_qarnot.model.files import LARGE_BYTES
from run_qarnot.page.background import Background
from run_qarnot.page.components.files import Files
from run_qarnot.page.uploads import Arrival, Uploads

Calls = list[tuple[str, Any]]


def play(tasks: Background, folder: Path, scene: Callable[[Files, Uploads, Calls], Awaitable[None]]) -> Files:
    async def whole() -> Files:
        uploads = Uploads(folder)
        files = Files(tasks, uploads, lambda: None)
        try:
            await scene(files, uploads, record(files))
            await turn()
        finally:
            uploads.close()
            files.show.cancel()
        return files

    return asyncio.run(whole())


def test_a_file_that_arrives_is_answered_part_by_part(tasks: Background, tmp_path: Path) -> None:
    async def scene(files: Files, uploads: Uploads, calls: Calls) -> None:
        upload(files, 1, "a.csv", b"12345")
        assert ("have", [1, 5]) in calls
        assert [incoming.arrival for incoming in uploads] == [Arrival.HERE]
        tell(files, "query", {"id": 1})
        assert calls[-1] == ("have", [1, 5])
        tell(files, "remove", {"id": 1})
        assert list(uploads) == []

    play(tasks, tmp_path, scene)


def test_files_that_are_refused_are_counted_in_one_problem(tasks: Background, tmp_path: Path) -> None:
    async def scene(files: Files, _uploads: Uploads, calls: Calls) -> None:
        wrong = [{"id": n, "name": f"../{n}", "size": 1, "direct": False} for n in range(8)]
        tell(files, "begin", {"files": wrong})
        assert [call for call in calls if call[0] == "refused"] == [("refused", [n]) for n in range(8)]
        assert "(8): '../0'" in files.problem["what"]
        assert "…" in files.problem["what"]

    play(tasks, tmp_path, scene)


def test_small_files_never_go_straight_to_a_bucket(tasks: Background, tmp_path: Path) -> None:
    async def scene(files: Files, uploads: Uploads, calls: Calls) -> None:
        for size in (LARGE_BYTES - 1, LARGE_BYTES):  # there is no bucket yet, either
            tell(files, "begin", {"files": [{"id": 1, "name": "a", "size": size, "direct": True}]})
        assert list(uploads) == []
        assert files.direct_bytes == 0

    play(tasks, tmp_path, scene)


def test_questions_about_unknown_files_are_answered_with_nothing(tasks: Background, tmp_path: Path) -> None:
    async def scene(files: Files, _uploads: Uploads, calls: Calls) -> None:
        tell(files, "address", {"id": 7, "part": 1})
        tell(files, "arrived", {"id": 7, "digests": []})
        tell(files, "direct", {"id": 7, "origin": "not an origin"})
        await turn()
        await turn()
        assert {call[0] for call in calls} == {"have"}
        assert {call[1][1] for call in calls} == {-1}
        assert files.problem is None

    play(tasks, tmp_path, scene)


def test_the_browser_is_told_only_what_has_changed(tasks: Background, tmp_path: Path) -> None:
    async def scene(files: Files, _uploads: Uploads, calls: Calls) -> None:
        begin(files, 1, "a", 5)
        begin(files, 2, "b", 5)
        tell(files, "show_all")
        files._show()
        calls.clear()
        tell(files, "part", {"id": 2, "offset": 0}, b"12345")
        files._show()
        (_, (changed, gone, count)) = [call for call in calls if call[0] == "rows"][-1]
        assert ([row["id"] for row in changed], gone, count) == ([2], [], 2)

    play(tasks, tmp_path, scene)
