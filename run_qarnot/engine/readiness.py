"""Whether a run's app answers, and which connections to it are offered."""

from __future__ import annotations

import asyncio
from functools import partial

from run_qarnot.catalog.apps import App
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.engine import output
from run_qarnot.engine.access import AppAccess
from run_qarnot.engine.client import Client
from run_qarnot.engine.decide import Steps
from run_qarnot.engine.results import Results
from run_qarnot.engine.session_state import ViewPublisher

OTHER_TOKEN = Message("needs-other-token")
_BLIND_SECONDS = 15.0  # for an SSH server to come up, before it counts as unreachable
_LONG_SECONDS = 180.0  # to start an app; JupyterLab needs some, with packages to restore a minute


class Readiness:
    """Asks the app while it starts, and publishes when it is ready.

    Arguments:
        client: of the account.
        state: publishes the session's view.
        access: reaches the app.
        app: what runs there.
    """

    def __init__(self, client: Client, state: ViewPublisher, access: AppAccess, app: App) -> None:
        self.state = state
        self.was_ready = False
        self.was_unready = False  # seen not to answer, so that the time when it is ready is known
        self._client = client
        self._access = access
        self._app = app
        self._changed = asyncio.get_running_loop().time()

    def state_changed(self) -> None:
        """Start to count the time in a state again: the run has a new one."""
        self._changed = asyncio.get_running_loop().time()

    @property
    def never_answered(self) -> bool:
        """Whether the app was watched from its start, should answer, and never did."""
        return self.was_unready and not (self.was_ready or self._app.ends_by_itself)

    @property
    def can_be_entered(self) -> bool:
        """Whether connections are offered: the app answers, or it may, and this process cannot find out."""
        if self.state.view.state is not State.STARTING:
            return self.state.view.state is State.READY
        waited = asyncio.get_running_loop().time() - self._changed
        return self._access.sees_nothing and waited > _BLIND_SECONDS

    async def probe(self, steps: Steps, facts: TaskSnapshot, results: Results) -> None:
        """Find out whether the app answers: through the tunnel, else by the link that it prints or its SSH greeting."""
        if self.state.view.state is not State.STARTING:
            return
        if steps.probe and self._access.is_open:
            ready = await self._access.answers()
        elif steps.read_output:
            places = partial(output.printed, self._client, facts.id), partial(output.log_file, results)
            ready = await self._access.seems_ready(facts, places)
        else:
            return
        if ready:
            self._publish_ready(facts)
        else:
            self._publish_silence()

    def publish_connections(self, facts: TaskSnapshot) -> None:
        """Publish the connections that there are now."""
        view = self.state.view
        found = self._access.connections(facts, view.attempt) if self.can_be_entered else ()
        self.state.change(connections=found)

    def token_note(self, facts: TaskSnapshot) -> Message | None:
        """Return what to do about a session of another token; None if the app opens without its machine's key."""
        has_address = any(connection.kind == "https" for connection in self.state.view.connections)
        if self._app.ends_by_itself or has_address or not self._access.needs_other_token(facts):
            return None
        return OTHER_TOKEN

    def _publish_ready(self, facts: TaskSnapshot) -> None:
        """Publish that the app answers.

        The time is known exactly if it was seen not to answer before; else the start of the machine stands for it.
        """
        self.was_ready = True
        view = self.state.view
        since = view.ready or (self._client.now() if self.was_unready else facts.started)
        note = self.token_note(facts)
        if self._app.ends_by_itself:
            note = Message("working", app=self._app.title)
        elif view.attempt > 1:
            note = Message("ready-again", app=self._app.title)
        elif self._access.ignores_base:
            note = Message("ready-elsewhere", app=self._app.title)
        # In one view: a session that is ready can be opened.
        found = self._access.connections(facts, view.attempt)
        where = {"base_path": self._access.base_path, "mount": self._access.mount}
        self.state.tell_usual(note, state=State.READY, ready=since, connections=found, **where)

    def _publish_silence(self) -> None:
        self.was_unready = True
        if asyncio.get_running_loop().time() > self._changed + _LONG_SECONDS:
            self.state.tell_usual(Message("silent-for-long", app=self._app.title))
