"""A file that was removed in a run does not come back in the next; one that is made or added again does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.desk import Desk, at_a_desk, until
from support.jupyter import Jupyter
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.bootstrap import REMOVED
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError
from run_qarnot.core.state import State
from run_qarnot.engine.session import Session
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.lifecycle

LAB = Image(id="lab", title="Lab", repo="qarnotlab/jupyterlab-base", tag="v1", idle_minutes=0)
UNTIL = """
import json, pathlib, time
file = pathlib.Path('{file}')
while not file.exists() or json.loads(file.read_text())['removed'] != {names}: time.sleep(0.1)
"""


async def jupyter_of(session: Session, attempt: int = 1) -> Jupyter:
    """The JupyterLab of a session that is followed, once it is ready."""
    await until(session, lambda view: (view.state, view.attempt) == (State.READY, attempt), "JupyterLab")
    return Jupyter(session.app_address() or "")


async def recorded(jupyter: Jupyter, *names: str) -> None:
    """Wait until this is the record on the machine; it has no other way to be read than from inside."""
    assert await asyncio.to_thread(jupyter.run, UNTIL.format(file=REMOVED, names=sorted(names))) == ""


def test_what_is_removed_stays_away_through_preemption_and_runs_until_it_is_made_or_added_again(
    calm: LocalCluster, control: Control, tmp_path: Path
) -> None:
    names = ["gone.txt", "made.txt", "added.txt", "later.txt", "kept.txt"]
    for name in names:
        (tmp_path / name).write_text(f"{name} as given")
    uploads = {name: Upload(tmp_path / name, name) for name in names}

    async def scenario(desk: Desk) -> None:
        account, storage = desk.account, desk.account.client.storage.blocking
        session = await desk.start(LAB, list(uploads.values()), name="tidy")
        async with desk.following(session):
            jupyter = await jupyter_of(session)
            for name in names[:4]:
                await asyncio.to_thread(jupyter.remove, name)
            await recorded(jupyter, *names[:4])
            await session.save()
            calm.control.preempt(session.view.id)

            jupyter = await jupyter_of(session, attempt=2)
            there = set(await asyncio.to_thread(jupyter.names))
            assert there & set(names) == {"kept.txt"}, "also after a preemption"
            await asyncio.to_thread(jupyter.write, "made.txt", "made anew")
            await session.add([uploads["added.txt"]])  # the same file as at first
            await asyncio.to_thread(wait_until, lambda: "added.txt" in jupyter.names(), "the added file")
            await recorded(jupyter, "gone.txt", "later.txt")
            await session.stop()
        (tmp_path / "later.txt").write_text("another file, after the end")
        await session.add([uploads["later.txt"]])

        await account.start_again(session)
        async with desk.following(session):
            jupyter = await jupyter_of(session)
            there = set(await asyncio.to_thread(jupyter.names))
            assert there & set(names) == {*names} - {"gone.txt"}
            texts = [await asyncio.to_thread(jupyter.read, name) for name in ("made.txt", "added.txt", "later.txt")]
            assert texts == ["made anew", "added.txt as given", "another file, after the end"]
            await session.stop()
        assert "gone.txt" in {file.key for file in storage.files("tidy-in")}, "in the storage nothing is lost"
        copied = {each.file.key for each in (await account.copies("tidy")).files}
        assert copied & set(names) == {*names} - {"gone.txt"}

    at_a_desk(calm, scenario)


def test_what_was_removed_is_in_the_way_of_no_other_file_of_its_name(calm: LocalCluster, tmp_path: Path) -> None:
    """One that is there is: it is replaced only when that is asked for."""
    for name in ("gone.txt", "kept.txt"):
        (tmp_path / name).write_text("as given")
    uploads = [Upload(tmp_path / name, name) for name in ("gone.txt", "kept.txt")]

    async def scenario(desk: Desk) -> None:
        storage = desk.account.client.storage.blocking
        session = await desk.start(LAB, uploads, name="same-names")
        async with desk.following(session):
            jupyter = await jupyter_of(session)
            await asyncio.to_thread(jupyter.remove, "gone.txt")
            await recorded(jupyter, "gone.txt")
            await session.stop()
        for upload in uploads:
            upload.path.write_text("another one")
        with pytest.raises(InputError, match=r"another file “kept\.txt”"):
            await session.add(uploads[1:])
        await session.add(uploads[:1])
        contents = [b"".join(storage.read("same-names-in", upload.key)) for upload in uploads]
        assert contents == [b"another one", b"as given"]
        assert session.results.removed() == set()

    at_a_desk(calm, scenario)


def test_the_record_of_another_session_does_not_come_along(calm: LocalCluster, tmp_path: Path) -> None:
    """As one of the results that somebody has downloaded, and gives to a new session as a folder."""
    (tmp_path / "data.txt").write_text("data")
    (tmp_path / "removed.json").write_text('{"removed": ["data.txt"]}')
    uploads = [Upload(tmp_path / "data.txt", "data.txt"), Upload(tmp_path / "removed.json", REMOVED)]

    async def scenario(desk: Desk) -> None:
        session = await desk.start(LAB, uploads)
        async with desk.following(session):
            jupyter = await jupyter_of(session)
            assert "data.txt" in await asyncio.to_thread(jupyter.names)
            await session.add(uploads[1:])
            inputs = await desk.account.client.storage.files(session.view.inputs or "")
            assert REMOVED not in {file.key for file in inputs}
            await session.stop()

    at_a_desk(calm, scenario)
