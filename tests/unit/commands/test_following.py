"""A command that follows a session, and Ctrl-C."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from support.waiting import turn

from run_qarnot.commands.following import following, saying_what_runs
from run_qarnot.core.errors import SessionError
from run_qarnot.core.state import State
from run_qarnot.model.view import SessionView

VIEW = SessionView("id-1", "calm", "base", "jupyterlab", "JupyterLab", State.READY, 1)


@pytest.mark.parametrize(
    ("state", "asked_to_stop", "submitted", "said"),
    [
        (State.READY, False, True, "goes on"),
        (State.READY, True, True, "was asked to stop"),
        (State.PREPARING, False, False, "nothing is running"),
        (State.ENDED, False, True, ""),
    ],
)
def test_who_presses_ctrl_c_is_told_whether_it_goes_on(
    capsys: pytest.CaptureFixture[str], state: State, *, asked_to_stop: bool, submitted: bool, said: str
) -> None:
    session: Any = SimpleNamespace(
        view=SessionView("id-1", "calm", "base", "jupyterlab", "JupyterLab", state, 1),
        is_asked_to_stop=asked_to_stop,
        is_submitted=submitted,
    )
    with pytest.raises(asyncio.CancelledError), saying_what_runs(session):
        raise asyncio.CancelledError
    printed = capsys.readouterr().err
    assert said in printed
    assert bool(printed) is bool(said)


def test_an_error_of_the_preparation_is_raised_from_the_block() -> None:
    async def follow() -> None:
        raise SessionError("given-up", name="calm")

    async def scene() -> None:
        session: Any = SimpleNamespace(view=VIEW, follow=follow, is_submitted=False)
        async with following(session, quiet=True):
            await asyncio.Event().wait()

    with pytest.raises(SessionError) as caught:
        asyncio.run(scene())
    assert caught.value.code == "given-up"


def test_following_ends_with_the_block() -> None:
    async def scene() -> bool:
        ended = asyncio.Event()

        async def follow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        session: Any = SimpleNamespace(view=VIEW, follow=follow, is_submitted=True)
        async with following(session, quiet=True):
            await turn()
        return ended.is_set()

    assert asyncio.run(scene())
