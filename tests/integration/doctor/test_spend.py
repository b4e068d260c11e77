"""The questions that only running tasks answer, on the local cluster; nothing is left of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.doctor import IMAGES, buckets, differing, examine
from support.waiting import wait_until

from qarnot_local import LocalCluster
from run_qarnot.doctor import account, network, spend, storage
from run_qarnot.doctor.question import Finding, Verdict
from run_qarnot.doctor.report import Report

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def only_what_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are asked in `test_free`."""
    for module in (account, network, storage):
        monkeypatch.setattr(module, "CHECKS", [])
    monkeypatch.setattr(account, "catalog_checks", lambda _: [])


@pytest.fixture
def own() -> Iterator[LocalCluster]:
    """A cluster whose clock may be moved."""
    with LocalCluster() as cluster:
        yield cluster


def _only(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Start these tasks alone."""
    trials = spend.trials
    patch.setattr(spend, "trials", lambda look: [each for each in trials(look) if each.name in names])


def _reach_the_limit(cluster: LocalCluster) -> None:
    """Move the clock once the doctor has seen its task for the limit run."""

    def seen() -> bool:
        task = next((each for each in cluster.control._manager.tasks if each.shortname.endswith("-limit")), None)
        if task is None or task.state != "FullyExecuting":
            return False
        return sum(call.path.endswith(task.uuid) for call in cluster.control.calls) - before(task.uuid) >= 2

    counts: dict[str, int] = {}

    def before(uuid: str) -> int:
        return counts.setdefault(uuid, sum(call.path.endswith(uuid) for call in cluster.control.calls))

    wait_until(seen, "the task for the limit to run", 90)
    cluster.control.advance(spend.LIMIT_MINUTES * 60 + 1)


def _by_number(report: Report) -> dict[str, Finding]:
    return {each.question.number: each for each in report.findings}


@pytest.mark.timeout(400)
def test_every_question_is_answered_and_nothing_is_left(own: LocalCluster) -> None:
    clock = threading.Thread(target=_reach_the_limit, args=[own], daemon=True)
    clock.start()
    report = examine(own, spending=True)
    found = _by_number(report)
    assert list(found) == [*(each.number for each in spend.QUESTIONS), "I-lab", "I-either"]
    unknown = [number for number, each in found.items() if each.verdict is Verdict.UNKNOWN]
    assert unknown == [], [found[number].seen for number in unknown]
    assert differing(report).keys() <= {"Q21"}, differing(report)
    assert report.left == []
    assert report.spent is not None
    manager = own.control._manager
    assert (buckets(own), len(manager.tasks), len(manager.jobs)) == (0, 0, 0)


@pytest.mark.timeout(400)
def test_scripted_deviations_are_found(own: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credits are told, snapshots are refused, inputs do not reach machines, and images are not there."""
    monkeypatch.setattr(spend, "_UPDATE_SECONDS", 3.0)
    _only(monkeypatch, "machine", "image-0")
    control = own.control
    control.fail_next("GET", "/credits/v1/tasks/*/credits", status=404, times=None)
    control.fail_next("POST", "/tasks/*/snapshot", status=500, times=None)
    control.fail_next("PATCH", "/tasks/*", status=400, body={"message": "not possible"}, times=None)
    report = examine(own, spending=True, images=[IMAGES[1].model_copy(update={"command": "false"})])
    assert differing(report).keys() == {"Q11", "Q12", "Q15", "Q16"}
    assert differing(report)["Q12"] == "status 400; –"
    assert report.spent is None


def test_a_task_that_is_refused_answers_why(own: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "machine")
    own.control.set_quota("tasks", 0)
    found = _by_number(examine(own, spending=True))
    assert found["Q1"].verdict is Verdict.UNKNOWN
    assert "no answer: an error: " in found["Q1"].seen
    assert buckets(own) == 0
