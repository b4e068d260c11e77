"""One look serves all that ask at that moment; sessions with one rhythm fall into step."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.core.errors import NotFoundError, RefusedError, UnreachableError
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.engine.poller import BatchedPoller, until_tick
from run_qarnot.engine.retry import retrying


class Cluster:
    """Counts what is asked."""

    def __init__(self, *ids: str) -> None:
        self.tasks = [read_task({"uuid": task_id, "state": "FullyExecuting"}) for task_id in ids]
        self.asked: list[str] = []

    async def one(self, task_id: str, name: str) -> TaskSnapshot:
        self.asked.append(task_id)
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise NotFoundError("session-unknown", text=name)

    async def all(self) -> list[TaskSnapshot]:
        self.asked.append("all")
        return self.tasks


def test_one_that_asks_alone_costs_a_request_for_one_task() -> None:
    cluster = Cluster("a", "b")

    async def ask() -> TaskSnapshot:
        return await BatchedPoller(cluster.one, cluster.all).poll("a", "name")

    assert asyncio.run(ask()).id == "a"
    assert cluster.asked == ["a"]


def test_fifty_that_ask_together_cost_one_request() -> None:
    ids = [f"task-{number}" for number in range(50)]
    cluster = Cluster(*ids)

    async def ask() -> list[TaskSnapshot]:
        watch = BatchedPoller(cluster.one, cluster.all)
        return await asyncio.gather(*(watch.poll(task_id, "") for task_id in ids))

    assert [facts.id for facts in asyncio.run(ask())] == ids
    assert cluster.asked == ["all"]


def test_a_task_that_is_gone_is_not_found_and_the_others_are_served() -> None:
    cluster = Cluster("a")

    async def ask() -> Sequence[TaskSnapshot | BaseException]:
        watch = BatchedPoller(cluster.one, cluster.all)
        return await asyncio.gather(watch.poll("a", ""), watch.poll("gone", "my-name"), return_exceptions=True)

    found, missing = asyncio.run(ask())
    assert isinstance(found, TaskSnapshot)
    assert found.id == "a"
    assert isinstance(missing, NotFoundError)
    assert "my-name" in str(missing)


def test_what_a_list_does_not_show_is_asked_for_by_itself_before_it_is_taken_for_gone() -> None:
    """A list may lag behind; that it is short must not end a session, and its job with it."""
    cluster = Cluster("a", "late")

    async def short_list() -> list[TaskSnapshot]:
        return cluster.tasks[:1]

    async def ask() -> Sequence[TaskSnapshot]:
        watch = BatchedPoller(cluster.one, short_list)
        return await asyncio.gather(watch.poll("a", ""), watch.poll("late", ""))

    assert [facts.id for facts in asyncio.run(ask())] == ["a", "late"]
    assert cluster.asked == ["late"]


def test_an_error_reaches_all_who_asked_and_the_next_round_works() -> None:
    cluster = Cluster("a", "b")
    failing = True

    async def all_() -> list[TaskSnapshot]:
        if failing:
            raise UnreachableError("unreachable", cluster="c", problem=Verbatim("p"))
        return await cluster.all()

    async def ask() -> tuple[Sequence[TaskSnapshot | BaseException], Sequence[TaskSnapshot]]:
        nonlocal failing
        watch = BatchedPoller(cluster.one, all_)
        errors = await asyncio.gather(watch.poll("a", ""), watch.poll("b", ""), return_exceptions=True)
        failing = False
        return errors, await asyncio.gather(watch.poll("a", ""), watch.poll("b", ""))

    errors, found = asyncio.run(ask())
    assert all(isinstance(error, UnreachableError) for error in errors)
    assert [facts.id for facts in found] == ["a", "b"]


@given(st.floats(0, 1e6), st.sampled_from([0.3, 0.5, 1.0, 4.0, 5.0]))
def test_ticks_are_never_far_from_what_was_wanted(now: float, wait: float) -> None:
    seconds = until_tick(now, wait)
    assert wait / 2 - 1e-6 <= seconds <= wait * 1.5 + 1e-6


@given(st.lists(st.floats(0, 5), min_size=2, max_size=20))
def test_those_with_one_rhythm_are_in_step_after_one_wait(starts: list[float]) -> None:
    woken = [start + until_tick(start, 5.0) for start in starts]
    again = {round(time + until_tick(time, 5.0), 6) % 5 for time in woken if abs(time % 5) < 1e-6}
    assert len(again) <= 1


def test_trying_again_ends_after_some_tries_and_only_for_what_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run_qarnot.engine.retry._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("run_qarnot.engine.retry.TRIES", 4)
    tries: list[Exception] = []
    told: list[Message] = []

    async def act(error: Exception) -> None:
        tries.append(error)
        raise error

    with pytest.raises(UnreachableError):
        asyncio.run(retrying(told.append, act, UnreachableError("storage-unreachable", problem=Verbatim("p"))))
    assert (len(tries), len(told)) == (4, 3)
    assert str(told[0]).endswith("Trying again.")
    tries.clear()
    with pytest.raises(RefusedError):
        asyncio.run(retrying(told.append, act, RefusedError("forbidden", message=Verbatim("m"))))
    assert len(tries) == 1
