"""What the commands print of a session."""

from __future__ import annotations

import pytest

from run_qarnot.commands import show
from run_qarnot.core.state import EndReason, State
from run_qarnot.model.view import SessionView


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (State.READY, None, "ready"),
        (State.ENDED, EndReason.IDLE, "ended (idle)"),
        (State.ENDED, EndReason.TIME_LIMIT, "ended (time limit)"),
        (State.ENDED, EndReason.STOPPED, "ended"),
        (State.ENDED, EndReason.FINISHED, "ended"),
        (State.FAILED, EndReason.FAILED, "failed"),
    ],
)
def test_a_list_says_which_sessions_stopped_by_themselves(state: State, reason: EndReason | None, said: str) -> None:
    view = SessionView("1", "lab", "lab", "jupyterlab", "Lab", state, 1, reason=reason and reason.value)
    assert show.state(view) == said


def test_every_reason_has_a_state_that_can_be_shown() -> None:
    for reason in EndReason:
        view = SessionView("1", "lab", "lab", "jupyterlab", "Lab", State.ENDED, 1, reason=reason.value)
        assert show.state(view).startswith("ended")
