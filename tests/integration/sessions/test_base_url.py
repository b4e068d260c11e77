"""Under which path an app answers: the one that it was given, or another; whoever asks, and after whatever happened."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.desk import Desk, address_of, at_a_desk, facts_of, page_on, until
from support.jupyter import Jupyter

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.catalog.image import Image
from run_qarnot.core.state import State
from run_qarnot.engine.ports import free_ports
from run_qarnot.engine.session import Session
from run_qarnot.model import keys
from run_qarnot.model.connections import Mount

pytestmark = pytest.mark.lifecycle
LAB = Image(id="lab", title="Lab", repo="qarnotlab/jupyterlab-base", tag="v1")
BASE = re.compile(r"/rq-[0-9a-f]{12}/")


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


def status(address: str) -> Any:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


async def path_of(session: Session) -> Any:
    return urlsplit(await address_of(session)).path


def takes_base(port: int) -> Any:
    """An image with a page that is under its base URL, and nowhere else."""
    folder = "mkdir -p root${RUN_QARNOT_BASE_URL}; echo here >root${RUN_QARNOT_BASE_URL}index.html"
    server = f"until python3 -m http.server --directory root --bind 127.0.0.1 {port}; do sleep 0.1; done"
    changes = {"command": f"sh -c '{folder}; {server}'", "proxy": "prefix", "id": "under"}
    return page_on(port).model_copy(update=changes)


def test_jupyterlab_runs_under_the_base_url_that_was_known_before_and_is_found_there_again(
    cluster: LocalCluster,
) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(LAB) as session:
            base = keys.derive_base_url(cluster.token, facts_of(session).launch_id)
            assert (session.view.base_path, session.view.mount) == (base, Mount.PREFIX)
            address = await address_of(session)
            assert await path_of(session) == f"{base}lab"
            assert all(
                urlsplit(connection.url).path == f"{base}lab"
                for connection in session.view.connections
                if connection.kind == "ssh"
            )
            assert await asyncio.to_thread(status, address) == 200
            assert await asyncio.to_thread(status, address.replace(base, "/")) == 404
            assert await asyncio.to_thread(Jupyter(address).run, "print(6 * 7)") == "42\n"
            again = await desk.account.find(session.view.name)
            view = await again.poll()
            assert (view.state, view.base_path, view.mount) == (State.READY, base, Mount.PREFIX)
            log = await session.logs()
            assert re.search(rf"http://(localhost|127\.0\.0\.1):[0-9]+{base}lab\?token=", log), log

    at_a_desk(cluster, scenario)


def test_an_image_can_decline_and_is_opened_where_it_is(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(LAB.model_copy(update={"id": "declines", "proxy": "none"})) as session:
            assert (session.view.base_path, session.view.mount) == ("/", Mount.NONE)
            assert await path_of(session) == "/lab"
            assert await asyncio.to_thread(Jupyter(await address_of(session)).answers)
            found = await asyncio.to_thread(desk.account.client.storage.blocking.files, str(session.view.inputs))
            assert list(found) == []

    at_a_desk(cluster, scenario)


def test_an_app_that_does_not_use_the_path_is_opened_where_it_answers_and_that_is_said(cluster: LocalCluster) -> None:
    """As an image does whose own command line names a base URL, or that is no Jupyter at all."""
    image = page_on(next(iter(free_ports(24000)))).model_copy(update={"id": "ignores", "proxy": "prefix"})

    async def scenario(desk: Desk) -> None:
        async with desk.ready(image) as session:
            view = session.view
            assert (view.base_path, view.mount) == ("/", Mount.NONE)
            assert str(view.phase).startswith("Ready: the application answers, but at another path")
            assert await path_of(session) == "/"
            assert await asyncio.to_thread(status, await address_of(session)) == 200

    at_a_desk(cluster, scenario)


def test_after_a_preemption_it_has_the_same_address(cluster: LocalCluster, control: Control) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(takes_base(next(iter(free_ports(25000))))) as session:
            address, path = await address_of(session), session.view.base_path
            assert BASE.fullmatch(path)
            assert await path_of(session) == path
            control.preempt(session.view.id)
            session._run._wake.set()
            await until(session, lambda view: view.attempt >= 2 and view.state is State.READY, "it to be back")
            assert (await address_of(session), session.view.base_path) == (address, path)
            assert await asyncio.to_thread(status, address) == 200

    at_a_desk(cluster, scenario)


def test_a_session_that_was_started_without_a_base_url_is_reached_without_one(cluster: LocalCluster) -> None:
    """By an older version, or before its image said how it can be mounted."""
    port = next(iter(free_ports(26000)))

    async def scenario(desk: Desk) -> None:
        async with desk.ready(page_on(port)) as session:
            assert (session.view.base_path, session.view.mount) == ("/", Mount.STRIP)
            desk.account.catalog.images["page"] = page_on(port).model_copy(update={"proxy": "prefix"})
            view = await (await desk.account.find(session.view.name)).poll()
            assert (view.state, view.base_path, view.mount) == (State.READY, "/", Mount.NONE)

    at_a_desk(cluster, scenario)


def test_a_base_url_that_is_not_ours_is_not_used(cluster: LocalCluster) -> None:
    """The constants of a task may be written by anybody on the account."""

    async def scenario(desk: Desk) -> None:
        async with desk.ready(takes_base(next(iter(free_ports(27000))))) as session:
            facts = facts_of(session)
            for base in ("//evil.example/", "/rq-0123456789ab", "/rq-0123456789AB/", "/../", "x" * 2000):
                odd = replace(facts, constants={**facts.constants, "RUN_QARNOT_BASE_URL": base})
                found = Session.found(desk.account.client, desk.account.catalog, cluster.token, [odd])
                assert found._run.access.base_path == "/"

    at_a_desk(cluster, scenario)


def test_what_travels_is_the_base_url_and_the_idle_stop_and_the_user_sees_none_of_it(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready(LAB) as session:
            storage = desk.account.client.storage.blocking
            keys_there = {file.key for file in await asyncio.to_thread(storage.files, str(session.view.inputs))}
            assert keys_there == {
                ".run-qarnot/idle.py",
                ".run-qarnot/removed.py",
                ".run-qarnot/jupyter/jupyter_server_config.json",
                ".run-qarnot/jupyter/jupyter_server_config.py",
                ".run-qarnot/jupyter/jupyter_notebook_config.py",
                ".run-qarnot/jupyter/jupyter_notebook_config.json",
            }
            names = await asyncio.to_thread(Jupyter(await address_of(session)).names)
            assert not any(name.startswith(".") for name in names)

    at_a_desk(cluster, scenario)
