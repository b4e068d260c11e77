"""Cost, the last save and the reason of a failure: what the platform says, and nothing that it does not say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.catalog.apps import BUILTIN
from run_qarnot.cloud.models import read_task
from run_qarnot.core.errors import UnreachableError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.state import EndReason, State
from run_qarnot.engine.details import details, last_save, never_ready
from run_qarnot.model.files import StoredFile
from run_qarnot.model.view import RunView, SessionView

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EARLIER = NOW.replace(hour=8)
VIEW = SessionView("t1", "calm", "base", "batch", "Command", State.READY, 1, runs=(RunView("t1"),))
LINK = "http://127.0.0.1:8888/lab?token=abcdefgh\n"


class Cluster:
    """Answers as the cluster does: by task, what it has cost in euros and grams, and what it has printed."""

    def __init__(self, printed: str = "", **costs: float | None) -> None:
        self.costs, self.printed, self.asked = costs, printed, list[str]()

    def now(self) -> datetime:
        return NOW

    async def cost(self, task: str) -> float | None:
        self.asked.append(task)
        return self.costs[task]

    async def carbon(self, task: str) -> float | None:
        return None

    async def streams(self, task: str) -> tuple[str, str]:
        return self.printed, ""


def results(*saved: datetime, answers: bool = True) -> Any:
    async def files() -> list[StoredFile]:
        if not answers:
            raise UnreachableError("storage-unreachable", problem=Verbatim("refused"))
        return [StoredFile("a", 1, time) for time in saved]

    return SimpleNamespace(files=files, head=lambda *_: b"")


def ask(cluster: Cluster, view: SessionView, seconds: float = 0, saved: Any = None) -> dict[str, Any]:
    task = read_task({"uuid": view.runs[-1].id, "status": {"executionTimeSec": seconds}})
    client: Any = cluster
    return asyncio.run(details(client, task, view, saved or results()))


def test_the_cost_of_all_runs_is_added_and_ended_ones_are_asked_for_once() -> None:
    view = replace(VIEW, runs=(RunView("t0", cost=1.5), RunView("t1")), run=2)
    cluster = Cluster(t1=0.5)
    found = ask(cluster, view, seconds=1800)
    assert (found["cost"], found["cost_per_hour"], found["carbon"], found["asked"]) == (2.0, 1.0, None, NOW)
    assert cluster.asked == ["t1"]


@pytest.mark.parametrize(("cost", "seconds"), [(None, 3600), (0.5, 30)])
def test_an_hour_has_no_price_without_a_cost_or_after_a_few_seconds(cost: float | None, seconds: float) -> None:
    assert ask(Cluster(t1=cost), VIEW, seconds)["cost_per_hour"] is None


def test_a_storage_that_does_not_answer_takes_no_cost_away() -> None:
    found = ask(Cluster(t1=0.5), VIEW, saved=results(answers=False))
    assert found["cost"] == 0.5
    assert "saved" not in found


def test_the_last_save_is_the_youngest_file_or_the_one_that_was_seen() -> None:
    client: Any = Cluster()

    def saved(view: SessionView, *files: datetime) -> Any:
        return asyncio.run(last_save(client, view, results(*files)))["saved"]

    assert saved(VIEW) is None
    assert saved(VIEW, EARLIER) == EARLIER
    assert saved(replace(VIEW, saved=NOW), EARLIER) == NOW
    assert saved(replace(VIEW, state=State.ENDED, ended=NOW), EARLIER) == NOW, "results are uploaded at the end"


@pytest.mark.parametrize(
    ("printed", "is_failure"), [("no link\n", True), (LINK, False), ("x" * 16_000, False)]
)  # fmt: skip
def test_an_app_that_ended_before_it_printed_its_link_was_never_ready(printed: str, is_failure: bool) -> None:
    client: Any = Cluster(printed)
    view = replace(VIEW, state=State.ENDED, reason=EndReason.FINISHED.value)
    task = read_task({"uuid": "t1"})
    asked = never_ready(client, BUILTIN["jupyterlab"], task, view, results())
    assert asyncio.run(asked) is is_failure
    assert not asyncio.run(never_ready(client, BUILTIN["batch"], task, view, results()))
    assert not asyncio.run(never_ready(client, BUILTIN["jupyterlab"], task, VIEW, results())), "it is not over"
