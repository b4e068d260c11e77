"""“Try it here”: the cluster of the page's server, found again after a reload, and gone with the server."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from support.command import clean_environment
from support.pages import end, make_page, settings_of, sign_in, synced, tell
from support.processes import gone, words_of
from support.waiting import turn, until, wait_until

from qarnot_local import LocalCluster
from run_qarnot.model.settings import Settings
from run_qarnot.page import local_cluster

pytestmark = pytest.mark.slow

OWN = Settings(cluster_url="http://127.0.0.1:9")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Like the server's private one; short, because it holds a socket."""
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    yield folder
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def offered(folder: Path) -> AsyncIterator[None]:
    """Offer it for the block; afterwards nothing of it is left."""
    before = psutil.Process().children(recursive=True)  # those of other tests stay
    async with local_cluster.offered(folder):
        yield
        processes = [each for each in psutil.Process().children(recursive=True) if each not in before]
    await asyncio.to_thread(wait_until, lambda: gone(processes), "the cluster to end with its server")


def clusters() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if "qarnot_local" in words_of(each)[2:5]]


def test_it_is_started_once_for_who_asks_and_found_by_who_comes_later(folder: Path) -> None:
    async def scene() -> None:
        assert not local_cluster.is_offered(folder)
        async with offered(folder):
            assert local_cluster.is_offered(folder)
            assert await local_cluster.find(folder, OWN, start=False) is None, "nobody has asked for it"
            both = await asyncio.gather(*(local_cluster.find(folder, OWN, start=True) for _ in range(2)))
            assert both[0] is not None
            assert both[0] == both[1]
            settings, token = both[0]
            assert settings.cluster_url.startswith("http://127.0.0.1:")
            assert settings.cluster_url != OWN.cluster_url
            assert settings.images == OWN.images
            assert token not in repr(settings)
            assert await local_cluster.find(folder, OWN, start=False) == both[0]
            assert len(clusters()) == 1

            clusters()[0].kill()
            await until(lambda: not clusters(), "it to be gone")
            while await local_cluster.find(folder, OWN, start=False) is not None:
                await turn()
            again = await local_cluster.find(folder, OWN, start=True)
            assert again is not None, "it can be tried again"
        assert await local_cluster.find(folder, OWN, start=True) is None

    asyncio.run(scene())


def test_a_visitor_tries_it_reloads_and_goes_back_to_an_own_account(folder: Path, cluster: LocalCluster) -> None:
    async def scene() -> None:
        async with offered(folder):
            page = make_page(settings_of(cluster), downloads=folder)
            assert page.account_card.can_try
            tell(page.account_card, "try_here")
            await until(lambda: page.account_card.state == "known", "the account of the local cluster", 90)
            assert page.account_card.trying
            assert page.account_card.summary["email"] == "you@localhost"
            assert not page.shell.asks_again, "a reload finds it again"
            assert page.account.settings.cluster_url not in synced(page)
            await end(page)

            page = make_page(settings_of(cluster), downloads=folder)
            page.visitor_arrived("")
            await until(lambda: page.account_card.state == "known", "the same account")
            tell(page.account_card, "change")
            assert page.account_card.state == "asking"
            assert not page.account_card.trying
            await sign_in(page, cluster.token)
            assert page.account_card.summary["email"] == cluster.email
            assert not page.account_card.trying
            await end(page)

    asyncio.run(scene())


def test_what_prevents_it_is_said_and_a_token_still_works(folder: Path, cluster: LocalCluster) -> None:
    async def scene() -> None:
        async with local_cluster.offered(folder):
            page = make_page(settings_of(cluster), downloads=folder)
        tell(page.account_card, "try_here")  # the server has ended it meanwhile
        await until(lambda: page.account_card.problem, "the sentence")
        assert "could not be started" in page.account_card.problem["what"]
        assert (page.account_card.state, page.account_card.trying) == ("asking", False)
        await sign_in(page, cluster.token)
        await end(page)

    asyncio.run(scene())


def test_it_is_not_offered_beside_an_operators_token(folder: Path, cluster: LocalCluster) -> None:
    async def scene() -> None:
        async with local_cluster.offered(folder):
            page = make_page(settings_of(cluster, cluster.token), downloads=folder)
            assert not page.account_card.can_try
            tell(page.account_card, "try_here")
            await turn()
            assert page.account_card.state == "asking"
            await end(page)

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("options", "variables", "is_offered"),
    [
        ([], {}, True),
        (["--unix-socket", "page.sock", "--no-login"], {}, True),
        (["--unix-socket", "page.sock"], {}, False),
        (["--trust-proxy"], {}, False),
        (["--ip", "0.0.0.0"], {}, False),
        ([], {"QARNOT_CLIENT_TOKEN": "a-token-of-the-operator"}, False),
    ],
    ids=str,
)
def test_only_a_server_for_one_person_offers_it(
    folder: Path, options: list[str], variables: dict[str, str], is_offered: bool
) -> None:
    """What visitors run there runs on the server's machine, as its user."""
    environment = clean_environment(
        HOME=str(folder), TMPDIR=str(folder), QARNOT_CLUSTER_URL=OWN.cluster_url, **variables
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "run_qarnot.page.server", "--no-browser", *options],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Dashboard: ")
        assert bool([*folder.glob("run-qarnot-*/cluster.sock")]) == is_offered
    finally:
        process.terminate()
        process.communicate(timeout=30)
