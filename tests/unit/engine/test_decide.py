"""What is seen, and what is done next: pure functions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.image import Image
from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.core.messages import Message
from run_qarnot.core.state import FINAL, State
from run_qarnot.engine.decide import NEVER_READY, decide, end_reason, first_view, observe, planned_view
from run_qarnot.model.connections import Connection, ConnectionKind, Forward
from run_qarnot.model.plan import make_plan
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.view import SessionView

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VIEW = SessionView("id", "n", "base", "jupyterlab", "JupyterLab", State.WAITING, 0)
WAY_IN = Connection(ConnectionKind.SSH, None, "ssh host", Message("no-reason"))
FORWARD = Forward(22, "gateway", 41022)
ENDS: dict[str, Any] = {"labels": {"rq-ends": "2026-03-02T13:00:00Z"}}


def facts(state: str, attempt: int = 1, forwards: Sequence[Forward] = (), **more: Any) -> TaskSnapshot:
    instance = {
        "executionAttemptCount": attempt,
        "activeForwards": [
            {"applicationPort": f.app_port, "forwarderHost": f.host, "forwarderPort": f.port} for f in forwards
        ],
    }
    status = {"runningInstancesInfo": {"perRunningInstanceInfo": [instance]}}
    return read_task({"uuid": "id", "name": "n", "state": state, "status": status, **more})


def test_a_life_from_the_queue_to_the_end() -> None:
    view = VIEW
    for word, expected in [
        ("Submitted", State.WAITING),
        ("FullyDispatched", State.LOADING),
        ("FullyExecuting", State.STARTING),
        ("UploadingResults", State.SAVING),
        ("Success", State.ENDED),
    ]:
        view = observe(view, facts(word), NOW)
        assert view.state is expected
    assert view.reason == "finished"


def test_an_app_that_ends_before_it_answered_has_failed() -> None:
    starting = replace(VIEW, state=State.STARTING, attempt=1)
    for word, state, error in [
        ("Success", State.FAILED, NEVER_READY),
        ("Cancelled", State.ENDED, None),
        ("Failure", State.FAILED, Message("no-reason")),
        ("FullyExecuting", State.STARTING, None),
    ]:
        view = observe(starting, facts(word), NOW, ended_unready=True)
        assert (view.state, view.error) == (state, error)


def test_only_we_know_ready_so_the_clusters_word_does_not_take_it_back() -> None:
    ready = replace(VIEW, state=State.READY, attempt=1, ready=NOW)
    assert observe(ready, facts("FullyExecuting"), NOW).state is State.READY


def test_a_preempted_session_starts_again_with_a_higher_attempt() -> None:
    ready = replace(VIEW, state=State.READY, attempt=1, ready=NOW)
    again = observe(ready, facts("FullyExecuting", attempt=2), NOW)
    assert (again.attempt, again.state, again.ready) == (2, State.STARTING, None)


@pytest.mark.parametrize(
    ("word", "shown"),
    [("Submitted", State.WAITING), ("FullyDispatched", State.LOADING), ("Suspended", State.STARTING)],
)
def test_a_preempted_session_that_has_no_machine_yet_is_not_said_to_have_one(word: str, shown: State) -> None:
    ready = replace(VIEW, state=State.READY, attempt=1, ready=NOW)
    again = observe(ready, facts(word, attempt=2), NOW)
    assert (again.attempt, again.state, again.ready) == (2, shown, None)


@pytest.mark.parametrize("word", ["Suspended", "", "success!", "EnDeD"])
def test_a_word_that_is_not_known_changes_nothing(word: str) -> None:
    ready = replace(VIEW, state=State.READY, attempt=1)
    assert observe(ready, facts(word), NOW).state is State.READY


words = st.sampled_from("Submitted FullyDispatched FullyExecuting UploadingResults PendingCancel Odd Success".split())


@given(st.lists(st.tuples(words, st.integers(0, 3)), max_size=25))
def test_attempt_and_state_never_fall(looks: list[tuple[str, int]]) -> None:
    view = VIEW
    for word, attempt in looks:
        before, view = view, observe(view, facts(word, attempt), NOW)
        assert view.attempt >= before.attempt
        if before.state in FINAL:
            assert view.state is before.state
        elif view.attempt == before.attempt and view.state not in FINAL:
            assert list(State).index(view.state) >= list(State).index(before.state)


def test_a_tunnel_is_opened_as_soon_as_there_is_a_forward_and_the_app_is_asked() -> None:
    starting = replace(VIEW, state=State.STARTING, attempt=1)
    steps = decide(starting, facts("FullyExecuting", forwards=[FORWARD]), can_tunnel=True, age=5)
    assert steps.tunnel_to == FORWARD
    assert steps.probe
    assert not decide(starting, facts("FullyExecuting"), can_tunnel=True, age=5).probe


def test_without_a_key_of_ours_the_output_is_read() -> None:
    starting = replace(VIEW, state=State.STARTING, attempt=1)
    steps = decide(starting, facts("FullyExecuting", forwards=[FORWARD]), can_tunnel=False, age=5)
    assert steps.tunnel_to is None
    assert steps.read_output


def test_a_ready_session_keeps_its_tunnel_and_is_asked_seldom() -> None:
    ready = replace(VIEW, state=State.READY, attempt=1)
    steps = decide(ready, facts("FullyExecuting", forwards=[FORWARD]), can_tunnel=True, age=500)
    assert steps.tunnel_to == FORWARD
    assert not steps.probe
    assert steps.wait >= 5


@given(st.sampled_from(list(State)), st.floats(0, 1e6))
def test_it_always_waits_between_two_looks(state: State, age: float) -> None:
    view = replace(VIEW, state=state)
    assert decide(view, facts("FullyExecuting"), can_tunnel=True, age=age).wait >= 0.3


def test_the_reason_of_an_end_is_worked_out_from_facts() -> None:
    assert end_reason(facts("Failure")) == "failed"
    assert end_reason(facts("Success")) == "finished"
    assert end_reason(facts("Cancelled", endDate="2026-03-02T10:00:00Z", **ENDS)) == "stopped"
    assert end_reason(facts("Cancelled", endDate="2026-03-02T13:00:05Z", **ENDS)) == "time-limit"


@pytest.mark.parametrize(
    ("ended", "reason"),
    [("12:59:39", "stopped"), ("12:59:41", "time-limit"), ("13:00:00", "time-limit"), ("23:59:59", "time-limit")],
)
def test_an_end_shortly_before_the_limit_is_the_limits(ended: str, reason: str) -> None:
    """The limit runs on the cluster's clock, from a moment that it does not tell."""
    assert end_reason(facts("Cancelled", endDate=f"2026-03-02T{ended}Z", **ENDS)) == reason


def test_a_failure_says_the_clusters_reason() -> None:
    failed = observe(VIEW, facts("Failure", errors=[{"code": "X", "message": "image not found"}]), NOW)
    assert failed.error == "image not found"
    assert failed.ended == NOW
    assert observe(VIEW, facts("Failure", errors=None), NOW + timedelta(1)).error


def test_the_clocks_of_all_states() -> None:
    """Seconds between two looks: few while something is about to happen, many when nothing is."""

    def wait(state: State, age: float, **more: Any) -> float:
        return decide(replace(VIEW, state=state), facts("FullyExecuting", **more), can_tunnel=True, age=age).wait

    assert [wait(state, 500) for state in (State.SAVING, State.STOPPING)] == [0.5, 0.5]
    assert [wait(state, age) for state in (State.STARTING, State.READY) for age in (0, 500)] == [1, 1, 5, 5]
    assert [wait(State.WAITING, age) for age in (0, 7, 37, 500)] == [0.3, 1, 4, 4]
    assert wait(State.STARTING, 0, forwards=[FORWARD]) == 2, "the app itself is asked meanwhile"


def test_views_before_the_first_look() -> None:
    image = Image(id="base", repo="a/b")
    plan = make_plan(
        SessionSpec(image, "calm-heron-42", 4), launch_id="rq-1", token="t", profiles=["p"], version="1", now=NOW
    )
    assert planned_view(plan, "JupyterLab") == SessionView(
        "", "calm-heron-42", "base", "jupyterlab", "JupyterLab", State.PREPARING, 0,
        created=NOW, started=NOW, ends=NOW + timedelta(hours=4), inputs="calm-heron-42-in", results="calm-heron-42-out",
    )  # fmt: skip
    labels = {"rq-image": "base", "rq-app": "web", "rq-ends": "2026-03-02T13:00:00Z"}
    found = facts(
        "FullyExecuting", labels=labels, creationDate="2026-03-02T09:00:00Z", resourceBuckets=["a", "n-in"],
        resultBucket="n-out",
    )  # fmt: skip
    assert first_view([found], "The app") == SessionView(
        "id", "n", "base", "web", "The app", State.UNKNOWN, 0,
        created=NOW, started=NOW, ends=NOW + timedelta(hours=4), inputs="n-in", results="n-out",
    )  # fmt: skip
    assert first_view([facts("Success")], "x").inputs is None


@pytest.mark.parametrize(
    ("word", "more", "reason", "error"),
    [
        ("FAILURE", {}, "failed", Message("no-reason")),
        ("SUCCESS", {"errors": [{"message": "x"}]}, "finished", None),
        ("deleted", {}, "deleted", None),
        ("Cancelled", {}, "stopped", None),
    ],
)
def test_an_end_is_told_once_with_its_time_and_its_reason(
    word: str, more: dict[str, Any], reason: str, error: Message | None
) -> None:
    ready = replace(VIEW, state=State.READY, attempt=1, ready=NOW, connections=(WAY_IN,))
    over = observe(ready, facts(word, **more), NOW)
    assert (over.reason, over.error, over.ended, over.connections) == (reason, error, NOW, ())
    assert over.ready == NOW
    told = observe(ready, facts(word, endDate="2026-03-02T08:00:00Z"), NOW)
    assert told.ended == NOW - timedelta(hours=1), "by the cluster's clock, where it tells"
    again = observe(over, facts("FullyExecuting", attempt=2), NOW + timedelta(1))
    assert again == over, "an end is final"


def test_without_an_end_the_start_decides_whether_the_limit_was_reached() -> None:
    assert end_reason(facts("Cancelled", endDate=None, **ENDS)) == "stopped"
    late = replace(facts("Cancelled", **ENDS), started=NOW + timedelta(hours=4), ended=None)
    assert end_reason(late) == "time-limit"
