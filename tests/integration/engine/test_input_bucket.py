"""The input bucket of a session: filled from here, and by a browser."""

from __future__ import annotations

import asyncio
import hashlib
from functools import partial
from pathlib import Path

import requests
from support.desk import Desk, at_a_desk

from qarnot_local import LocalCluster
from run_qarnot.engine.input_bucket import InputBucket
from run_qarnot.model.files import LARGE_BYTES, Upload

PAGE = "http://localhost:8866"


def test_files_of_this_computer_and_of_a_browser_arrive_together(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "ours").write_text("ours")

    async def scene(desk: Desk) -> None:
        storage = desk.account.client.storage
        await storage.create("filled-in", "filled")
        inputs = InputBucket(storage, "filled-in", is_own=True)
        sent = await inputs.begin("theirs", LARGE_BYTES, PAGE)
        content = bytes(LARGE_BYTES)  # one part
        put = partial(requests.put, sent.address(1), data=content, headers={"Origin": PAGE}, timeout=10)
        answer = await asyncio.to_thread(put)
        assert answer.headers["Access-Control-Allow-Origin"] in {PAGE, "*"}
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert await asyncio.to_thread(sent.check, [digest])
        heard: list[object] = []
        tell = lambda *words: heard.append(words)  # noqa: E731
        added = await inputs.add([Upload(tmp_path / "ours", "ours")], [sent], [], tell, replace=False)
        assert added == {"ours", "theirs"}
        assert {file.key: file.size for file in await storage.files("filled-in")} == {"ours": 4, "theirs": LARGE_BYTES}

    at_a_desk(cluster, scene)


def test_an_unfinished_file_is_listed_until_it_is_forgotten(cluster: LocalCluster) -> None:
    async def scene(desk: Desk) -> None:
        storage = desk.account.client.storage
        await storage.create("begun-in", "begun")
        inputs = InputBucket(storage, "begun-in", is_own=True)
        await inputs.begin("half", LARGE_BYTES, PAGE)
        assert await inputs.unfinished() == ["half"]
        await inputs.forget("half")
        assert await inputs.unfinished() == []

    at_a_desk(cluster, scene)
