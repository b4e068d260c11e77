"""A session that nobody uses stops by itself: a real JupyterLab, told apart by what is done in it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.desk import Desk, address_of, at_a_desk, until
from support.jupyter import Jupyter
from support.ssh import make_key, running

from qarnot_local import LocalCluster
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import SessionError
from run_qarnot.core.state import State
from run_qarnot.engine.session import Session
from run_qarnot.model.view import SessionView

pytestmark = pytest.mark.lifecycle
# Looked at every four seconds; said after six.
LAB = Image(id="lab", title="Lab", repo="qarnotlab/jupyterlab-base", tag="v1", idle_minutes=0.4, ssh_keys="many")
UNTIL_TOLD = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.1)"


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


def is_idle(view: SessionView) -> Any:
    return view.idle_since is not None


def is_used(view: SessionView) -> Any:
    return view.idle_since is None and view.state is State.READY


@asynccontextmanager
async def keeps_on(session: Session, what: str) -> AsyncIterator[None]:
    """What is done in the block keeps an idle session on."""
    await until(session, is_idle, f"it to be idle before {what}")
    yield
    await until(session, is_used, f"{what} to count as use")


def test_a_cell_a_terminal_a_login_and_whoever_asks_keep_it_on_and_a_tunnel_does_not(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    key = make_key(tmp_path)

    async def scenario(desk: Desk) -> None:
        session = await desk.start(LAB, key=key.read_text())
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            assert session.view.idle_minutes == 0.4
            jupyter = Jupyter(await address_of(session))
            async with keeps_on(session, "a cell"):
                cell = asyncio.create_task(asyncio.to_thread(jupyter.run, UNTIL_TOLD))
            await asyncio.to_thread(jupyter.write, "go", "")
            await cell
            async with keeps_on(session, "a terminal"):
                await asyncio.to_thread(jupyter.start_in_terminal, "while :; do date; sleep 1; done")
            assert session.view.state is State.READY
            await asyncio.to_thread(jupyter.end_terminals)
            ssh = next(each.command or "" for each in session.view.connections if each.kind == "ssh")
            identity = f"-i {shlex.quote(str(key.with_suffix('')))} -o IdentitiesOnly=yes"
            await until(session, is_idle, "it to be idle, though our own tunnel is open")
            with running(f"{ssh.replace('ssh -N ', f'ssh {identity} ', 1)} sleep 1000"):
                await until(session, is_used, "a login to count as use")
            async with keeps_on(session, "to ask for it"):
                await session.keep_on()
            view = await until(session, is_idle, "it to be idle again")
            assert view.as_json()["idle_stop"] is not None
            await until(session, lambda view: view.is_over, "it to stop")
            assert (session.view.state, session.view.reason) == (State.ENDED, "idle")
            assert (
                str(session.view.phase)
                == "Ended. It was stopped because it was idle for 0.4 min; its results are kept."
            )
            assert session.view.as_json()["idle_stop"] is None
            with pytest.raises(SessionError):
                await session.keep_on()
            found = await desk.account.find(session.view.name)
            assert (await found.detail()).reason == "idle", "also to who comes later"

    at_a_desk(cluster, scenario)


def test_one_that_jupyter_itself_is_told_to_end_has_ended_by_itself(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        session = await desk.start(LAB)
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            await asyncio.to_thread(Jupyter(await address_of(session)).shut_down)
            await until(session, lambda view: view.is_over, "it to end")
            assert session.view.reason == "finished"

    at_a_desk(cluster, scenario)
