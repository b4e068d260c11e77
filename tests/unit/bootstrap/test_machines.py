"""What machines that work together know of each other, before Dask is there."""

from __future__ import annotations

import argparse
import json
import shlex
import socket
from pathlib import Path

import pytest

from run_qarnot.bootstrap import machines


def test_the_scheduler_is_known_once_it_answers(tmp_path: Path) -> None:
    shared = machines.SharedFolder(tmp_path)
    assert shared.address() is None
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tls://127.0.0.1:{server.getsockname()[1]}"
        shared.scheduler.write_text(json.dumps({"address": address}))
        assert shared.address() == address
    assert shared.address() is None, "a file that an earlier attempt left"
    shared.scheduler.write_text("{")
    assert shared.address() is None


def test_the_end_of_the_leader_is_seen_by_all_and_forgotten_by_its_next_attempt(tmp_path: Path) -> None:
    leader, worker = machines.SharedFolder(tmp_path), machines.SharedFolder(tmp_path)
    leader.end()
    assert worker.is_over
    leader.begin()
    assert not worker.is_over


@pytest.mark.parametrize(
    "text", ["10.0.0.1\n10.0.0.2\n", "10.0.0.1 slots=4, 10.0.0.2", "{'a': '10.0.0.1', 'b': '10.0.0.2'}"]
)
def test_peers_are_found_in_any_format(tmp_path: Path, text: str) -> None:
    (tmp_path / "qhost").write_text(text)
    assert machines.SharedFolder(tmp_path).peers() == ["10.0.0.1", "10.0.0.2"]


def test_the_own_address_leads_to_the_peers() -> None:
    assert machines.own_address(["127.0.0.1"]) == "127.0.0.1"
    assert machines.own_address([]) == "127.0.0.1"


@pytest.mark.parametrize("dashboard", [machines.DASHBOARD_PORT, 40_000])
def test_notebooks_are_told_of_scheduler_and_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dashboard: int
) -> None:
    monkeypatch.setenv("RUN_QARNOT_BASE_URL", "/rq-0123456789ab/")
    file = tmp_path / "variables"
    machines.write_variables(file, "tls://10.0.0.1:1", machines.SharedFolder(tmp_path), dashboard, True)
    found = dict(shlex.split(line)[1].split("=", 1) for line in file.read_text().splitlines())
    assert found["DASK_SCHEDULER_ADDRESS"] == "tls://10.0.0.1:1"
    assert found["DASK_DISTRIBUTED__DASHBOARD__LINK"] == "/rq-0123456789ab/proxy/8787/status"
    assert found["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "true"
    assert ("JUPYTER_CONFIG_PATH" in found) is (dashboard != machines.DASHBOARD_PORT)


def test_a_group_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    group = machines.Group(["sh", "-c", "sleep 60 & sleep 60"], tmp_path / "log")
    assert not group.has_ended
    group.end(5)
    assert group.has_ended


def test_no_worker_is_started_without_a_scheduler(tmp_path: Path) -> None:
    assert machines.start_worker(argparse.Namespace(), machines.SharedFolder(tmp_path)) is None
