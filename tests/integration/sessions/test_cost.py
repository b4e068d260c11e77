"""What a session costs: what the cluster says, and nothing that it does not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.desk import Desk, at_a_desk

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.lifecycle]
MINUTES = 30


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


def cost_after(cluster: LocalCluster, minutes: float) -> Any:
    """A session's view when its machine has run for some minutes."""

    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            cluster.control.advance(minutes * 60)
            found = await desk.account.find(session.view.name)
            return await found.detail()

    return at_a_desk(cluster, scenario)


def test_cost_and_carbon_are_what_the_cluster_says_with_their_time(cluster: LocalCluster) -> None:
    view = cost_after(cluster, MINUTES)
    assert view.cost is not None
    assert view.cost > 0
    assert view.cost_per_hour == pytest.approx(view.cost * 60 / MINUTES, rel=0.05)
    assert view.carbon is not None
    assert view.asked is not None
    assert view.asked >= view.created


def test_an_hour_is_not_guessed_from_a_few_seconds(cluster: LocalCluster) -> None:
    view = cost_after(cluster, 0)
    assert view.cost is not None
    assert view.cost_per_hour is None


def test_what_it_costs_is_shown_also_when_only_the_storage_is_away(cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> Any:
        async with desk.ready() as session:
            with cluster.control.expecting():
                cluster.control.fail_next("GET", "s3:ListObjects", status=503, times=3)
                return await session.detail()

    view = at_a_desk(cluster, scenario)
    assert view.cost is not None
    assert view.saved is None


def test_a_platform_that_says_nothing_is_nothing_to_speak_of(cluster: LocalCluster) -> None:
    control = cluster.control
    for route in ("/credits/v1/tasks/*/credits", "/carbon/v1/tasks/*/carbon-facts"):
        control.fail_next("GET", route, status=404, times=None)
    view = cost_after(cluster, MINUTES)
    control.reset()
    assert (view.cost, view.cost_per_hour, view.carbon) == (None, None, None)
    assert view.note is None
