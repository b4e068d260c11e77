"""What happened between two views of a session: a pure function."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from run_qarnot.core.messages import Message, english
from run_qarnot.core.state import State
from run_qarnot.hooks.api import SessionEvent
from run_qarnot.model.view import SessionView


def events_between(before: SessionView, after: SessionView, now: datetime) -> list[SessionEvent]:
    """Return what a watcher of the session is to be told, in order.

    A session that is merely found again is no event: every page and every command finds all of them. So nothing that
    follows from the first look is told, and that it answers only by who has seen it not answer (`ready` is its time).

    Arguments:
        now: by the cluster's clock, as all times of a session.
    """
    if before.state is State.UNKNOWN or after.state is State.UNKNOWN:
        return []
    events = []
    if after.run == before.run and after.attempt > max(before.attempt, 1):
        events.append(SessionEvent("restarted", english(Message("event-restarted")), now))
    moved = (before.run, before.attempt, before.state) != (after.run, after.attempt, after.state)
    if moved and not (after.state is State.READY and after.ready is None):
        time = {State.READY: after.ready, State.ENDED: after.ended, State.FAILED: after.ended}.get(after.state)
        state_alone = replace(after, note=None)  # what is being done at this moment is no event
        events.append(SessionEvent(after.state.value, english(state_alone.phase), time or now))
    if after.saved is not None and after.saved != before.saved and not after.is_over:
        events.append(SessionEvent("saved", english(Message("event-saved")), after.saved))
    return events
