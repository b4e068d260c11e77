"""A user's desk in a test: the engine, used as the page and the commands use it, against a local cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.names import make_name
from run_qarnot.core.state import State
from run_qarnot.engine.account import Account
from run_qarnot.engine.session import Session, Upload
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.view import SessionView

T = TypeVar("T")
SECONDS = 30.0

# Starts in a blink, and is there when its SSH server greets.
MACHINE = Image(id="machine", app="ssh", profile=("docker-network-ssh",), repo="library/debian", command="sleep 1000")


def page_on(port: int) -> Image:
    """An image with a web page, on a port of this machine that is free."""
    # Again and again: after a preemption the machine before may still hold the port, which here is the same one.
    command = f"sh -c 'until python3 -m http.server --bind 127.0.0.1 {port}; do sleep 0.1; done'"
    return MACHINE.model_copy(update={"id": "page", "app": "web", "port": port, "command": command})


class Desk:
    """An open account, with what a test asks of it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.heard: list[SessionView] = []

    async def start(
        self, image: Image = MACHINE, uploads: list[Upload] | None = None, name: str = "", key: str | None = None
    ) -> Session:
        self.account.catalog.images[image.id] = image
        session = await self.account.start(SessionSpec(image, name or make_name(), 1, user_key=key), uploads or [])
        session.subscribe(self.heard.append)
        return session

    @contextlib.asynccontextmanager
    async def following(self, session: Session) -> AsyncIterator[asyncio.Task[None]]:
        """Follow during the block."""
        work = asyncio.create_task(session.follow())
        try:
            yield work
        except BaseException:
            with contextlib.suppress(Exception):  # another try of the test finds nothing of this one
                await asyncio.wait_for(session.stop(save=False), SECONDS)
            raise
        finally:
            work.cancel()
            with contextlib.suppress(BaseException):
                await work

    @contextlib.asynccontextmanager
    async def ready(self, image: Image = MACHINE) -> AsyncIterator[Session]:
        """A session that is followed and ready; it is stopped at the end."""
        session = await self.start(image)
        async with self.following(session):
            await until(session, lambda view: view.state is State.READY, "the session to be ready")
            yield session
            if not session.view.is_over:
                await session.stop(save=False)

    @property
    def notes(self) -> str:
        return "\n".join(str(view.note or "") for view in self.heard)


def facts_of(session: Session) -> TaskSnapshot:
    """What the cluster said last of a session that is submitted."""
    assert session.facts is not None, "it is not submitted"
    return session.facts


async def address_of(session: Session) -> str:
    """The address of a session's app through its tunnel, which may open a moment after the app has printed its link."""
    await until(session, lambda _: session.app_address() is not None, "its tunnel to be open")
    return str(session.app_address())


async def until(session: Session, condition: Callable[[SessionView], bool], what: str) -> SessionView:
    """Wait for a view, with a deadline that says what it waited for."""
    try:
        async with asyncio.timeout(SECONDS):
            return await session.until(condition)
    except TimeoutError:
        raise AssertionError(f"waited {SECONDS:g} s in vain for {what}; it is {session.view}") from None


@contextlib.asynccontextmanager
async def desk_of(cluster: LocalCluster, storage_url: str = "") -> AsyncIterator[Desk]:
    """A desk with an account of the cluster; `storage_url` may lead to its storage through something else."""
    storage_url = storage_url or cluster.storage_url
    settings = Settings(cluster_url=cluster.cluster_url, storage_url=storage_url, token=cluster.token)
    account = await Account.open(settings, cluster.token, Catalog())
    try:
        yield Desk(account)
    finally:
        await account.close()


def at_a_desk(cluster: LocalCluster, scenario: Callable[[Desk], Awaitable[T]]) -> T:
    """Run a scenario with an account of the cluster."""

    async def run() -> T:
        async with desk_of(cluster) as desk:
            return await scenario(desk)

    return asyncio.run(run())
