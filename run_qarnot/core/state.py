"""The states of a session, the order of its runs and the reasons of their ends, as tables. No I/O.

`observed_state` translates the cluster's words (`reference/qarnot-platform.md` §2.4bis); `Moment` orders what was seen,
because polls may be answered late or out of order; `EndReason` says why a session ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class State(StrEnum):
    """What a session is doing, in the order in which a person meets it."""

    PREPARING = "preparing"  # buckets, uploads, submission
    WAITING = "waiting"  # queued by the cluster
    LOADING = "loading"  # a machine is found; files and image travel to it
    STARTING = "starting"  # the machine is up; the app is not answering yet
    READY = "ready"  # the app answers
    SAVING = "saving"  # results travel to the bucket, on the way to the end
    STOPPING = "stopping"  # asked to stop
    ENDED = "ended"
    FAILED = "failed"
    UNKNOWN = "unknown"  # the cluster used a word that we do not know; never an end


# What may come next on one machine. A poller misses steps, so it believes whatever can be reached from here.
NEXT: Mapping[State, frozenset[State]] = {
    State.PREPARING: frozenset({State.WAITING, State.ENDED, State.FAILED}),
    State.WAITING: frozenset({State.LOADING, State.STOPPING, State.FAILED}),
    State.LOADING: frozenset({State.STARTING, State.STOPPING, State.FAILED}),
    State.STARTING: frozenset({State.READY, State.SAVING, State.STOPPING, State.FAILED}),
    State.READY: frozenset({State.SAVING, State.STOPPING, State.FAILED}),
    State.SAVING: frozenset({State.STOPPING, State.ENDED, State.FAILED}),
    State.STOPPING: frozenset({State.ENDED, State.FAILED}),
    State.ENDED: frozenset(),
    State.FAILED: frozenset(),
}

# Where a new attempt may begin, after the cluster moved the session to another machine (preemption, a lost node).
RESTARTS = frozenset({State.WAITING, State.LOADING, State.STARTING})

FINAL = frozenset({State.ENDED, State.FAILED})
ALIVE = frozenset(State) - FINAL - {State.UNKNOWN}

_OBSERVED = {
    "unsubmitted": State.PREPARING,
    "submitted": State.WAITING,
    "partiallydispatched": State.LOADING,
    "fullydispatched": State.LOADING,
    "partiallyexecuting": State.STARTING,
    "fullyexecuting": State.STARTING,
    "downloadingresults": State.SAVING,  # the legacy name of UploadingResults
    "uploadingresults": State.SAVING,
    "pendingcancel": State.STOPPING,
    "pendingdelete": State.STOPPING,
    "cancelled": State.ENDED,
    "deleted": State.ENDED,
    "success": State.ENDED,
    "failure": State.FAILED,
}


class EndReason(StrEnum):
    """Why a run ended; `messages.END_REASONS` has a sentence for each."""

    STOPPED = "stopped"  # somebody asked for it
    TIME_LIMIT = "time-limit"
    FINISHED = "finished"  # the command ended by itself, with success
    IDLE = "idle"  # nobody used it for as long as was agreed
    FAILED = "failed"
    DELETED = "deleted"
    GIVEN_UP = "given-up"  # stopped before it was submitted


def observed_state(word: str) -> State:
    """Translate the cluster's name of a task state. What we do not know is `UNKNOWN`, never an end."""
    return _OBSERVED.get(word.lower(), State.UNKNOWN)


@dataclass(frozen=True, order=False)
class Moment:
    """When in its life a session is: (run, attempt, state).

    Each start is a new run; a run that was preempted begins again with a higher attempt.
    """

    run: int
    attempt: int
    state: State

    def may_follow(self, earlier: Moment) -> bool:
        """Whether an observer that has seen `earlier` should believe `self`.

        Time runs forward within an attempt; a new attempt begins in one of `RESTARTS`, of which a poller may see any
        later state first; the end of a run is final for it, and only another run may follow; what we do not understand
        changes nothing.
        """
        if self.run != earlier.run:
            return self.run > earlier.run and self.state is not State.UNKNOWN
        if self.state is State.UNKNOWN or earlier.state in FINAL:
            return False
        if earlier.state is State.UNKNOWN or self.state in FINAL:
            return True
        if self.attempt != earlier.attempt:
            return self.attempt > earlier.attempt and self.state in _after_a_restart()
        return self.state is earlier.state or self.state in reachable(earlier.state)


@cache
def _after_a_restart() -> frozenset[State]:
    return RESTARTS.union(*map(reachable, RESTARTS))


@cache
def reachable(state: State) -> frozenset[State]:
    """Return every state that may come after `state` on the same machine, sooner or later."""
    found: set[State] = set()
    waiting = list(NEXT[state])
    while waiting:
        following = waiting.pop()
        if following not in found:
            found.add(following)
            waiting.extend(NEXT[following])
    return frozenset(found)
