"""Files that were added to a session's inputs while it runs, sent on to its machine."""

from __future__ import annotations

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.engine.client import Client
from run_qarnot.engine.session_state import ViewPublisher


class AddedFiles:
    """Remembers that files wait for a machine that is being loaded, and sends them once it is.

    Arguments:
        client: of the account.
        state: publishes the session's view.
    """

    def __init__(self, client: Client, state: ViewPublisher) -> None:
        self.state = state
        self._client = client
        self._wait = False

    @property
    def are_owed(self) -> bool:
        """Whether a machine that is being loaded may have read the bucket before the files were in it."""
        return self._wait and self.state.view.state is not State.WAITING

    def wait_for_machine(self) -> None:
        """Send the files later: the machine is being loaded, and may have read the bucket already."""
        self._wait = True

    async def send_waiting(self, facts: TaskSnapshot) -> None:
        """Send the files that wait, if there are some. If that fails, the view says so and the next call tries again.

        Arguments:
            facts: of a task whose machine runs.
        """
        if not self._wait:
            return
        try:
            with self.state.doing(Message("sending-added")):
                await self._client.refresh_resources(facts)
                self._wait = False
        except RunQarnotError as error:
            what = Message("added-unsent", problem=error.sentence)
            self.state.tell_trouble(Message("retrying-session", what=what))
