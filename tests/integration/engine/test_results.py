"""The result bucket of a session: read, and made to agree with what was uploaded."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from support.desk import Desk, at_a_desk
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.bootstrap import REMOVED, write_removed
from run_qarnot.bootstrap.removed import names_in
from run_qarnot.core.errors import InputError
from run_qarnot.engine.results import Results
from run_qarnot.model.files import Upload

_numbers = count()


async def head(results: Results, key: str, limit: int = 1000) -> bytes:
    return await asyncio.to_thread(results.head, key, limit)


class Buckets:
    """The inputs and the results of a session that does not exist; both can be filled."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.storage = desk.account.client.storage
        self.inputs, name = f"made-{next(_numbers)}-in", f"made-{next(_numbers)}-out"
        self.results = Results(self.storage, name)
        self._folder = folder

    async def make(self) -> None:
        for bucket in (self.inputs, self.results.bucket or ""):
            await self.storage.create(bucket, "made")

    async def put(self, bucket: str | None, **contents: str) -> None:
        uploads = []
        for key, content in contents.items():
            path = self._folder / f"{next(_numbers)}"
            path.write_text(content)
            uploads.append(Upload(path, key))
        await self.storage.upload(bucket or "", uploads, replace=True)

    async def saved(self) -> dict[str, str]:
        return {file.key: (await head(self.results, file.key)).decode() for file in await self.results.files()}


def play(cluster: LocalCluster, folder: Path, scene: Callable[[Buckets], Awaitable[None]]) -> None:
    async def whole(desk: Desk) -> None:
        buckets = Buckets(desk, folder)
        await buckets.make()
        await scene(buckets)

    at_a_desk(cluster, whole)


def test_a_file_is_read_up_to_a_limit_and_all_come_as_a_zip(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(buckets: Buckets) -> None:
        await buckets.put(buckets.results.bucket, a="0123456789", b="x")
        assert await head(buckets.results, "a", 4) == b"0123"
        assert await head(buckets.results, "a", 0) == b""
        content = await asyncio.to_thread(lambda: b"".join(buckets.results.zip()))
        assert zipfile.ZipFile(io.BytesIO(content)).read("a") == b"0123456789"
        assert "made-" in await buckets.results.address("a")

    play(cluster, tmp_path, scene)


def test_a_session_without_a_bucket_has_no_files(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(buckets: Buckets) -> None:
        none = Results(buckets.storage, None)
        assert await none.files() == []
        assert await head(none, "a") == b""
        none.give_way(buckets.inputs, {"a"}, replace=False)
        none.prefer_uploads(buckets.inputs, datetime.now(UTC))

    play(cluster, tmp_path, scene)


def test_with_the_inputs_each_file_comes_once_and_the_newer_one_of_two(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(buckets: Buckets) -> None:
        ours = ".run-qarnot/start.sh"
        await buckets.put(buckets.inputs, given="1", changed="given", **{ours: "x"})
        await buckets.put(buckets.results.bucket, late="saved")
        before = datetime.now(UTC).replace(microsecond=0)
        await until(lambda: datetime.now(UTC) > before + timedelta(seconds=1), "the storage's next second")
        await buckets.put(buckets.results.bucket, changed="saved", made="2")
        await buckets.put(buckets.inputs, late="added since")
        files = await buckets.results.with_inputs(buckets.inputs)
        wanted = {"given": "1", "changed": "saved", "made": "2", "late": "added since"}
        content = await asyncio.to_thread(lambda: b"".join(buckets.results.zip(files)))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {name: archive.read(name).decode() for name in archive.namelist()} == wanted
        await asyncio.to_thread(buckets.results.download, files, tmp_path / "all", lambda _: None)
        assert {path.name: path.read_text() for path in (tmp_path / "all").iterdir()} == wanted
        without = await buckets.results.with_inputs(None)
        assert [each.file.key for each in without] == ["changed", "late", "made"]

    play(cluster, tmp_path, scene)


def test_of_a_removed_file_that_is_added_again_the_older_versions_go(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(buckets: Buckets) -> None:
        await buckets.put(buckets.inputs, again="1", kept="1")
        await buckets.put(buckets.results.bucket, again="2", kept="2")
        make_way = buckets.results.make_way
        assert not await asyncio.to_thread(make_way, buckets.inputs, {"again", "kept"}), "nothing was removed yet"
        await buckets.storage.upload(buckets.results.bucket or "", [write_removed(["again", "gone"])])
        assert await asyncio.to_thread(make_way, buckets.inputs, {"again", "kept"})
        assert (await buckets.saved()).keys() == {"kept", REMOVED}
        assert [file.key for file in await buckets.storage.files(buckets.inputs)] == ["kept"]
        assert await asyncio.to_thread(buckets.results.removed) == {"gone"}

    play(cluster, tmp_path, scene)


def test_a_file_that_the_machine_has_changed_gives_way_only_if_it_may(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scene(buckets: Buckets) -> None:
        await buckets.put(buckets.inputs, same="1", changed="ours", other="x")
        await buckets.put(buckets.results.bucket, same="1", changed="the machine's")
        with pytest.raises(InputError, match="changed"):
            await asyncio.to_thread(buckets.results.give_way, buckets.inputs, {"same", "changed"}, replace=False)
        assert await buckets.saved() == {"same": "1", "changed": "the machine's"}
        await asyncio.to_thread(buckets.results.give_way, buckets.inputs, {"same", "changed"}, replace=True)
        assert await buckets.saved() == {"same": "1"}

    play(cluster, tmp_path, scene)


def test_what_was_uploaded_after_the_last_run_wins_and_is_removed_no_more(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    async def scene(buckets: Buckets) -> None:
        ended = datetime.now(UTC)
        await buckets.put(buckets.results.bucket, again="of the run", kept="of the run")
        await buckets.storage.upload(buckets.results.bucket or "", [write_removed(["again", "gone"])])
        saved_by = datetime.now(UTC).replace(microsecond=0)
        await until(lambda: datetime.now(UTC) > saved_by + timedelta(seconds=1), "the storage's next second")
        await buckets.put(buckets.inputs, again="uploaded anew")
        prefer = buckets.results.prefer_uploads
        await asyncio.to_thread(prefer, buckets.inputs, ended + timedelta(minutes=5))
        assert "again" in await buckets.saved(), "it was uploaded before the run ended"
        await asyncio.to_thread(prefer, buckets.inputs, ended)
        saved = await buckets.saved()
        assert saved.keys() == {"kept", REMOVED}
        assert names_in(saved[REMOVED].encode()) == {"gone"}

    play(cluster, tmp_path, scene)
