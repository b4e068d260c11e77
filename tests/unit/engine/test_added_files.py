"""Files for a machine that is being loaded are sent once it runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from run_qarnot.cloud.models import read_task
from run_qarnot.core.errors import RefusedError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.state import State
from run_qarnot.engine.added_files import AddedFiles
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model.view import SessionView

VIEW = SessionView("t1", "calm", "base", "ssh", "A machine", State.LOADING, 1)
TASK = read_task({"uuid": "t1"})


class Cluster:
    """Sends resources to a machine, or refuses."""

    def __init__(self) -> None:
        self.sent, self.refuses = 0, False

    async def refresh_resources(self, _facts: object) -> None:
        if self.refuses:
            raise RefusedError("rejected", message=Verbatim("busy"))
        self.sent += 1


def test_what_waits_is_sent_once_and_again_after_a_refusal() -> None:
    async def scene() -> None:
        cluster: Any = Cluster()
        state = ViewPublisher(VIEW, lambda *_: None)
        added = AddedFiles(cluster, state)
        await added.send_waiting(TASK)
        assert cluster.sent == 0, "there is nothing to send"

        added.wait_for_machine()
        assert added.are_owed
        state.set(replace(state.view, state=State.WAITING))
        assert not added.are_owed, "no machine has read the bucket yet"
        state.set(replace(state.view, state=State.STARTING))

        cluster.refuses = True
        await added.send_waiting(TASK)
        assert "busy" in str(state.view.note)
        assert added.are_owed
        cluster.refuses = False
        for _ in range(2):
            await added.send_waiting(TASK)
        assert cluster.sent == 1
        assert not added.are_owed

    asyncio.run(scene())
