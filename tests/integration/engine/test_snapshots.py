"""A snapshot is waited for: until the cluster has it, says that it failed, or the machine is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.desk import Desk, at_a_desk

from qarnot_local import LocalCluster
from run_qarnot.core.errors import SessionError
from run_qarnot.engine import snapshots
from run_qarnot.engine.snapshots import take_snapshot


async def stays() -> bool:
    return True


async def goes() -> bool:
    return False


def save(cluster: LocalCluster, is_still_there: Any, before: Callable[[], object] = lambda: None) -> int:
    """Save a session that runs; return how many snapshots were asked for."""

    async def scene(desk: Desk) -> int:
        async with desk.ready() as session:
            assert session.facts is not None
            cluster.control.clear_calls()
            before()
            try:
                await take_snapshot(desk.account.client, session.facts, lambda _: None, is_still_there)
            finally:
                cluster.control.release()
            return cluster.control.count("POST", "/tasks/*/snapshot")

    with cluster.control.expecting():
        return at_a_desk(cluster, scene)


def test_a_snapshot_is_asked_for_once_and_waited_for(cluster: LocalCluster) -> None:
    assert save(cluster, stays) == 1


def test_a_machine_that_is_gone_finishes_no_snapshot(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_POLL_SECONDS", 0.0)
    with pytest.raises(SessionError) as caught:
        save(cluster, goes, lambda: cluster.control.hold("snapshot"))
    assert caught.value.code == "save-failed"


def test_a_snapshot_that_failed_is_an_error_of_the_session(cluster: LocalCluster) -> None:
    failed = {"status": "Failure"}
    with pytest.raises(SessionError) as caught:
        save(cluster, stays, lambda: cluster.control.fail_next("GET", "/tasks/*/snapshot/*", status=200, body=failed))
    assert caught.value.code == "save-failed"
