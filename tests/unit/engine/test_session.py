"""Which runs belong to which session."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.core.state import FINAL, Moment, State
from run_qarnot.engine.decide import first_view, observe
from run_qarnot.engine.preparation import is_running
from run_qarnot.engine.run import RUNNING
from run_qarnot.engine.session import runs_of, sessions_in

WORDS = ["Submitted", "FullyDispatched", "FullyExecuting", "UploadingResults", "Success", "Cancelled", "Failure", "New"]


def task(number: int, session: str, state: str = "Success", second: int = 0) -> TaskSnapshot:
    body: dict[str, Any] = {"uuid": f"id-{number}", "shortname": f"rq-{number}", "name": "n", "state": state}
    body |= {"labels": {"rq-session": session} if session else {}, "creationDate": f"2026-03-02T09:00:{second:02}Z"}
    return read_task(body)


def test_runs_are_those_with_the_label_and_the_first_run_of_an_older_version() -> None:
    old, again, other = task(1, ""), task(2, "rq-1", second=1), task(3, "rq-3", second=2)
    assert sessions_in([again, other, old]) == [[other], [old, again]]
    assert runs_of("rq-1", [again, other, old]) == [old, again]


tasks = st.lists(
    st.builds(task, st.integers(0, 99), st.sampled_from(["a", "b"]), st.sampled_from(WORDS), st.integers(0, 5)),
    max_size=8,
    unique_by=lambda each: each.id,
)


@given(tasks)
def test_of_several_starts_at_one_moment_the_first_that_runs_is_the_last_run(found: list[TaskSnapshot]) -> None:
    for runs in sessions_in(found):
        running = [each for each in runs if is_running(each)]
        assert running == runs[-1:] or not running
        others = [each for each in found if is_running(each) and each.session_id == runs[0].session_id]
        assert not running or all((running[0].created, running[0].id) <= (each.created, each.id) for each in others)
        assert {each.session_id for each in runs} == {runs[0].session_id}


looks = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 3)), max_size=12)


@given(st.lists(looks, min_size=1, max_size=4))
def test_no_run_leads_back_and_each_is_told_of_once(runs: list[list[tuple[str, int]]]) -> None:
    """Whatever a cluster shows, in whatever order, of whichever attempt: (run, attempt, state) only goes on."""
    known: list[TaskSnapshot] = []
    for number, seen in enumerate(runs):
        facts = task(number, "s")
        view = first_view([*known, facts], "App")
        before = Moment(view.run, view.attempt, view.state)
        for word, attempt in seen:
            body = {"uuid": facts.id, "state": word, "completedInstances": [{"executionAttemptCount": attempt}]}
            view = observe(view, read_task(body), facts.created)  # type: ignore[arg-type]
            now = Moment(view.run, view.attempt, view.state)
            assert now == before or now.may_follow(before)
            assert before.state not in FINAL or now == before
            assert view.id == "id-0"
            assert [run.id for run in view.runs] == [f"id-{each}" for each in range(number + 1)]
            before = now
        known.append(facts)
    assert State.READY in RUNNING
