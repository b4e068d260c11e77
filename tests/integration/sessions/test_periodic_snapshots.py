"""The saves that the cluster makes by itself: asked for once, and not any more when the end is near."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from support.desk import Desk, at_a_desk, facts_of, until
from support.waiting import wait_until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.engine import retry
from run_qarnot.engine.periodic_snapshots import PeriodicSnapshots

pytestmark = pytest.mark.lifecycle
PERIODIC = "/tasks/*/snapshot/periodic"


@pytest.fixture
def cluster(calm: LocalCluster) -> Any:
    return calm


def test_saves_that_are_arranged_are_not_asked_for_again_though_the_cluster_says_that_there_are_none(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            saves, facts = PeriodicSnapshots(desk.account.client, 120), replace(facts_of(session), snapshot_seconds=0)
            control.clear_calls()
            for _ in range(3):
                saves._next = 0.0  # the pause is over
                await saves.keep(facts)
            assert saves.problem is None
            return control.count("POST", PERIODIC)

    assert at_a_desk(cluster, scenario) == 1, "asked for again and again, they would never be due"


@pytest.mark.parametrize(("seconds", "snapshot_seconds"), [(0, 0), (120, 300), (120, None)])
def test_nothing_is_asked_where_none_are_wanted_or_the_cluster_has_some(
    cluster: LocalCluster, control: Control, seconds: int, snapshot_seconds: int | None
) -> None:
    async def scenario(desk: Desk) -> None:
        async with desk.ready() as session:
            control.clear_calls()
            facts = replace(facts_of(session), snapshot_seconds=snapshot_seconds)
            await PeriodicSnapshots(desk.account.client, seconds).keep(facts)

    at_a_desk(cluster, scenario)
    assert control.count("POST", PERIODIC) == 0


def test_who_is_stopping_asks_for_no_regular_saves(
    cluster: LocalCluster, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that begins while the last save is made would be in its way."""
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)
    control.fail_next("POST", PERIODIC, status=403, body={"message": "Not yet"}, times=None)

    async def scenario(desk: Desk) -> None:
        loop = asyncio.get_running_loop()

        def looks(many: int, what: str) -> Any:
            def has_looked() -> Any:
                loop.call_soon_threadsafe(session._run._wake.set)  # it follows on at once
                return control.count("GET", "/tasks/*") >= many

            return asyncio.to_thread(wait_until, has_looked, what)

        async with desk.ready() as session:
            count = control.count("POST", PERIODIC)
            await looks(control.count("GET", "/tasks/*") + 3, "more looks")
            assert control.count("POST", PERIODIC) > count, "while it runs, they are asked for"
            control.hold("snapshot")
            stopping = asyncio.create_task(session.stop())
            await until(session, lambda view: str(view.note) == "Saving your files…", "the save")
            await looks(control.count("GET", "/tasks/*") + 3, "what was under way")
            count = control.count("POST", PERIODIC)
            await looks(control.count("GET", "/tasks/*") + 6, "more looks")
            assert control.count("POST", PERIODIC) == count
            control.release()
            await stopping

    at_a_desk(cluster, scenario)
