"""Decides the next steps for a session: pure functions of the known facts. `run` carries them out.

TaskSnapshot ─► observe ─► SessionView ─► decide ─► Steps
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core import times
from run_qarnot.core.messages import Message, Sentence, Title, Verbatim
from run_qarnot.core.state import EndReason, Moment, State, observed_state
from run_qarnot.model.connections import SSH_PORT, Forward
from run_qarnot.model.plan import Label, TaskPlan
from run_qarnot.model.view import RunView, SessionView

NEVER_READY = Message("ended-before-ready")
_END_TOLERANCE = timedelta(seconds=20)  # between the time limit and the platform's stop
_PROBING_SECONDS = 2.0  # between two polls of the cluster while the app itself is probed


@dataclass(frozen=True)
class Steps:
    """The next steps of the session's loop.

    Arguments:
        tunnel_to: open a tunnel to this forward, or keep it open; None to close it.
        probe: find out through the tunnel whether the app answers.
        read_output: look for the app's link in the output if it cannot be probed.
        wait: seconds until the next poll of the cluster.
    """

    tunnel_to: Forward | None = None
    probe: bool = False
    read_output: bool = False
    wait: float = 1.0


def planned_view(plan: TaskPlan, app_title: Title) -> SessionView:
    """Return the view of a session before its first run is prepared."""
    started = plan.ends - plan.time_limit
    return SessionView(
        id="",
        name=plan.name,
        image=plan.labels[Label.IMAGE],
        app=plan.labels[Label.APP],
        app_title=app_title,
        state=State.PREPARING,
        attempt=0,
        created=started,
        started=started,
        ends=plan.ends,
        inputs=plan.inputs,
        results=plan.results,
        machine_count=plan.instances,
    )


def next_view(view: SessionView, plan: TaskPlan, app_title: Title) -> SessionView:
    """Return the view of a session before another run of it is prepared."""
    planned = planned_view(plan, app_title)
    lasting = ("id", "created", "saved", "saved_asked", "runs", "cost", "carbon", "asked")
    return replace(planned, run=view.run + 1, **{name: getattr(view, name) for name in lasting})


def first_view(tasks: Sequence[TaskSnapshot], app_title: Title) -> SessionView:
    """Return the initial view of a session that was found by its tasks. `observe` then adds the state of the last one.

    Arguments:
        tasks: of its runs, the oldest first; at least one.
    """
    first, facts = tasks[0], tasks[-1]
    return SessionView(
        id=first.id,
        name=facts.name,
        image=facts.label(Label.IMAGE),
        app=facts.label(Label.APP),
        app_title=app_title,
        state=State.UNKNOWN,
        attempt=0,
        run=len(tasks),
        runs=tuple(RunView(task.id, task.created, task.ended, end_reason(task).value) for task in tasks[:-1]),
        created=first.created,
        started=facts.created,
        ends=times.from_text(facts.label(Label.ENDS)),
        inputs=facts.resources[-1] if facts.resources else None,
        results=facts.results,
    )


def observe(view: SessionView, facts: TaskSnapshot, now: datetime, *, ended_unready: bool = False) -> SessionView:
    """Return the view after a poll of the task. An outdated snapshot changes nothing (`state.Moment`).

    Arguments:
        view: the previous one.
        facts: the task's latest snapshot.
        now: the time by the cluster's clock.
        ended_unready: the app should not end by itself and never answered, so that a normal end is a failure.
    """
    seen = _observed(view, facts, now, ended_unready=ended_unready)
    started = facts.created or view.started
    created = started if view.run == 1 else view.created
    return replace(seen, id=view.id or facts.id, created=created, started=started, runs=_with_run(seen, facts))


def _observed(view: SessionView, facts: TaskSnapshot, now: datetime, *, ended_unready: bool) -> SessionView:
    is_failure = ended_unready and end_reason(facts) is EndReason.FINISHED
    if is_failure:
        facts = replace(facts, state="Failure")
    attempt = max(facts.attempt, view.attempt)
    state = observed_state(facts.state)
    if state is State.UNKNOWN and view.state is State.UNKNOWN:
        return view
    if state is State.UNKNOWN and not facts.forwards and view.state is State.READY and facts.attempt > view.attempt:
        state = State.STARTING  # a new attempt means another machine, whatever the unknown state is
    seen, before = Moment(view.run, attempt, state), Moment(view.run, view.attempt, view.state)
    if state is State.STARTING and before == Moment(view.run, attempt, State.READY):
        seen = before  # the cluster has no state for ready; only this process knows it
    if not seen.may_follow(before):
        return view
    changed = replace(view, attempt=attempt, state=seen.state)
    if seen != before:
        changed = replace(changed, ready=changed.ready if attempt == view.attempt else None)
    if changed.is_over:
        changed = _ended(changed, facts, now, NEVER_READY if is_failure else None)
    return changed


def _with_run(view: SessionView, facts: TaskSnapshot) -> tuple[RunView, ...]:
    """Return the runs with the latest one updated."""
    before = view.runs[-1] if view.runs and view.runs[-1].id == facts.id else None
    run = replace(before or RunView(facts.id), started=facts.created, ended=view.ended, reason=view.reason)
    return (*(view.runs[:-1] if before else view.runs), run)


def decide(view: SessionView, facts: TaskSnapshot, *, can_tunnel: bool, age: float) -> Steps:
    """Return the next steps.

    Arguments:
        view: after `observe`.
        facts: the latest.
        can_tunnel: whether the app has a port and the machine accepts a key of ours, as far as is known.
        age: seconds since the session was started; new sessions are polled more often.
    """
    if view.state not in {State.STARTING, State.READY}:
        return Steps(wait=_cadence(view.state, age))
    ssh = next((forward for forward in facts.forwards if forward.app_port == SSH_PORT), None)
    starting = view.state is State.STARTING
    probe = starting and can_tunnel and ssh is not None
    return Steps(
        tunnel_to=ssh if can_tunnel else None,
        probe=probe,
        read_output=starting,
        wait=_PROBING_SECONDS if probe else _cadence(view.state, age),
    )


def end_reason(facts: TaskSnapshot) -> EndReason:
    """Return why an ended task ended."""
    match facts.state.lower():
        case "failure":
            return EndReason.FAILED
        case "success":
            return EndReason.IDLE if facts.ended_idle else EndReason.FINISHED
        case "deleted":
            return EndReason.DELETED
    ends = times.from_text(facts.label(Label.ENDS))
    over = facts.ended or facts.started
    if ends and over and over >= ends - _END_TOLERANCE:
        return EndReason.TIME_LIMIT
    return EndReason.STOPPED


def _ended(view: SessionView, facts: TaskSnapshot, now: datetime, error: Sentence | None) -> SessionView:
    reason = end_reason(facts)
    if reason is EndReason.FAILED and error is None:
        error = Verbatim(facts.error) if facts.error else Message("no-reason")
    return replace(view, reason=reason.value, error=error, ended=facts.ended or now, connections=())


def _cadence(state: State, age: float) -> float:
    """Return the seconds between two polls: few while a change is expected, more otherwise."""
    if state in {State.STOPPING, State.SAVING}:
        return 0.5
    if state is State.READY:
        return 5.0
    if state is State.STARTING:
        return 1.0
    return min(0.3 + age / 10, 4.0)
