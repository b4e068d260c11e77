"""A session that starts with a repository: from a git server of this machine into a real JupyterLab."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.desk import Desk, address_of, at_a_desk, facts_of, until
from support.git_server import commit, make_repository, serving
from support.jupyter import Jupyter

from qarnot_local import LocalCluster
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError
from run_qarnot.core.state import State
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.spec import SessionSpec

pytestmark = pytest.mark.lifecycle
LAB = Image(id="lab", title="Lab", repo="qarnotlab/jupyterlab-base", tag="v1")
TOKEN = "token-of-a-private-repository-0123"


def test_it_opens_at_the_notebook_with_its_packages_and_goes_on_without_another_clone(
    cluster: LocalCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"my notebooks/first.ipynb": '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'}
    files |= {"requirements.txt": "moo-of-the-test==1.0\n", "data.csv": "as it was"}
    make_repository(tmp_path / "git" / "project.git", files)

    async def scenario(desk: Desk, address: str) -> Any:
        repository = parse_repository(f"{address}project.git@main", token=TOKEN)
        spec = SessionSpec(LAB, "with-git", 1, repository=repository, open="my notebooks/first.ipynb")
        desk.account.catalog.images[LAB.id] = LAB
        session = await desk.account.start(spec, [])
        assert session.temporary is not None
        temporary = session.temporary.name
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            assert urlsplit(await address_of(session)).path.endswith("/lab/tree/project/my%20notebooks/first.ipynb")
            assert session.open_path == "lab/tree/project/my%20notebooks/first.ipynb"
            jupyter = Jupyter(await address_of(session))
            assert set(await asyncio.to_thread(jupyter.names, "project")) == {
                "data.csv", "my notebooks", "requirements.txt",
            }  # fmt: skip
            assert await asyncio.to_thread(jupyter.run, "import moo_of_the_test as m; print(m.moo())") == "moo\n"
            git = "import subprocess as s; print(s.run(['git', '-C', 'project', 'status', '--short', '--branch'], "
            git += "capture_output=True, text=True).stdout)"
            assert (await asyncio.to_thread(jupyter.run, git)).strip() == "## main...origin/main"
            await asyncio.to_thread(jupyter.write, "project/data.csv", "changed")
            again = await desk.account.find(session.view.name)
            await again.poll()
            assert again.open_path == session.open_path, "also for who has nothing but the account's token"
            stored = {
                file.key for file in await asyncio.to_thread(desk.account.client.storage.blocking.files, "with-git-in")
            }
            assert "project/.git/HEAD" in stored
            constants = facts_of(session).constants
            assert TOKEN not in str(constants)
            await session.stop()
        assert not any(TOKEN in record.getMessage() for record in caplog.records)
        return temporary

    with serving(tmp_path / "git", TOKEN) as address:
        temporary = at_a_desk(cluster, lambda desk: scenario(desk, address))
    assert not (tmp_path / temporary).exists()

    async def later(desk: Desk) -> None:  # the git server is gone: nothing is cloned again
        desk.account.catalog.images[LAB.id] = LAB
        session = await desk.account.find("with-git")
        await desk.account.start_again(session)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready again")
            jupyter = Jupyter(await address_of(session))
            assert await asyncio.to_thread(jupyter.read, "project/data.csv") == "changed"
            assert urlsplit(await address_of(session)).path.endswith("/lab/tree/project/my%20notebooks/first.ipynb")
            await session.stop(save=False)

    at_a_desk(cluster, later)


def test_the_next_run_brings_it_up_to_date_and_keeps_what_was_changed(cluster: LocalCluster, tmp_path: Path) -> None:
    theirs = make_repository(tmp_path / "git" / "project.git", {"data.csv": "1\n2\n3\n4\n5\n", "old.txt": "old"})

    async def first(desk: Desk, address: str) -> None:
        desk.account.catalog.images[LAB.id] = LAB
        with pytest.raises(InputError, match="No repository came along"):
            await desk.account.start(SessionSpec(LAB, "updated", 1, update=True), [])
        session = await desk.account.start(
            SessionSpec(LAB, "updated", 1, repository=parse_repository(f"{address}project.git")), []
        )
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            jupyter = Jupyter(await address_of(session))
            await asyncio.to_thread(jupyter.write, "project/data.csv", "mine\n2\n3\n4\n5\n")
            await asyncio.to_thread(jupyter.write, "project/result.txt", "mine")
            await asyncio.to_thread(jupyter.run, "import os; os.remove('project/old.txt')")
            await session.stop()

    async def second(desk: Desk) -> None:
        desk.account.catalog.images[LAB.id] = LAB
        session = await desk.account.find("updated")
        await desk.account.start_again(session, update=True)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready again")
            jupyter = Jupyter(await address_of(session))
            assert await asyncio.to_thread(jupyter.read, "project/data.csv") == "mine\n2\n3\n4\nfive\n"
            assert await asyncio.to_thread(jupyter.read, "project/result.txt") == "mine"
            assert await asyncio.to_thread(jupyter.read, "project/new.txt") == "new"
            assert await asyncio.to_thread(jupyter.read, "project/old.txt") == "old", "what was deleted comes back"
            assert "project: 2 file(s) updated; 1 kept as they were changed here; 1 restored." in await session.logs()
            commit(theirs, {"new.txt": "newer"})
            program = ".run-qarnot/update.py"
            update = (
                f"import subprocess as s, sys; print(s.run([sys.executable, '{program}'], stdout=-1, text=True).stdout)"
            )
            assert "project: 1 file(s) updated" in await asyncio.to_thread(jupyter.run, update)
            assert await asyncio.to_thread(jupyter.read, "project/new.txt") == "newer"
            await session.stop(save=False)

    with serving(tmp_path / "git") as address:
        at_a_desk(cluster, lambda desk: first(desk, address))
        commit(theirs, {"data.csv": "theirs\n2\n3\n4\nfive\n", "new.txt": "new"})
        at_a_desk(cluster, second)


def test_what_cannot_be_fetched_makes_nothing(cluster: LocalCluster, tmp_path: Path) -> None:
    async def scenario(desk: Desk, address: str) -> None:
        desk.account.catalog.images[LAB.id] = LAB
        with pytest.raises(InputError, match="There is no git repository at"):
            await desk.account.start(SessionSpec(LAB, "none", 1, repository=parse_repository(f"{address}none")), [])
        assert "none-in" not in await asyncio.to_thread(desk.account.client.storage.blocking.buckets)

    make_repository(tmp_path / "git" / "project.git", {"x": "x"})
    with serving(tmp_path / "git") as address:
        at_a_desk(cluster, lambda desk: scenario(desk, address))
