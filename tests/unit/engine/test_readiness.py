"""A run is ready once its app answers; what the session's view says then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.catalog.apps import BUILTIN
from run_qarnot.cloud.models import read_task
from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.engine import readiness
from run_qarnot.engine.decide import Steps
from run_qarnot.engine.readiness import OTHER_TOKEN, Readiness
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model.connections import Mount
from run_qarnot.model.view import SessionView

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BEGAN = "2026-03-02T08:59:00Z"
VIEW = SessionView("t1", "calm", "base", "jupyterlab", "JupyterLab", State.STARTING, 1)
TASK = read_task({"uuid": "t1", "stateTransitionTime": BEGAN})
PROBE = Steps(probe=True)


class Access:
    """Answers as `AppAccess` does, with a tunnel that is open."""

    is_open, sees_nothing, ignores_base = True, False, False
    base_path, mount = "/", Mount.PREFIX

    def __init__(self) -> None:
        self.up = self.other_token = False

    async def answers(self) -> bool:
        return self.up

    def needs_other_token(self, _facts: object) -> bool:
        return self.other_token

    def connections(self, *_: object) -> tuple[Any, ...]:
        return (SimpleNamespace(kind="tunnel"),)


Scene = Callable[[Readiness, Access, ViewPublisher], Awaitable[None]]


def play(scene: Scene, view: SessionView = VIEW, app: str = "jupyterlab") -> None:
    async def whole() -> None:
        access: Any = Access()
        client: Any = SimpleNamespace(now=lambda: NOW)
        state = ViewPublisher(view, lambda *_: None)
        await scene(Readiness(client, state, access, BUILTIN[app]), access, state)

    asyncio.run(whole())


def test_ready_means_that_it_can_be_opened_and_since_when_is_known_to_who_saw_it_silent() -> None:
    async def scene(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        views: list[SessionView] = []
        state.subscribe(views.append)
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert (ready.was_ready, ready.never_answered, ready.can_be_entered) == (False, True, False)
        access.up = True
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert [(view.state, view.ready, len(view.connections)) for view in views] == [(State.READY, NOW, 1)]
        assert ready.can_be_entered
        assert not ready.never_answered

    play(scene)


def test_who_came_later_takes_the_start_of_the_machine_for_the_time() -> None:
    async def scene(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        access.up = True
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert state.view.ready == TASK.started

    play(scene)


def test_nothing_is_asked_of_an_app_that_is_not_starting() -> None:
    async def scene(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        access.up = True
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert state.view.state is State.LOADING

    play(scene, replace(VIEW, state=State.LOADING))


def test_the_note_says_what_is_special(monkeypatch: pytest.MonkeyPatch) -> None:
    async def again(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        access.up = True
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert state.view.note == Message("ready-again", app="JupyterLab")

    async def with_another_token(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        access.up = access.other_token = True
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert state.view.note == OTHER_TOKEN

    async def silent(ready: Readiness, _access: Access, state: ViewPublisher) -> None:
        monkeypatch.setattr(readiness, "_LONG_SECONDS", -1.0)
        await ready.probe(PROBE, TASK, None)  # type: ignore[arg-type]
        assert state.view.note == Message("silent-for-long", app="JupyterLab")

    play(again, replace(VIEW, attempt=2))
    play(with_another_token)
    play(silent)


def test_connections_are_offered_where_nobody_here_can_see_that_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(ready: Readiness, access: Access, state: ViewPublisher) -> None:
        access.sees_nothing = True
        ready.publish_connections(TASK)
        assert state.view.connections == ()
        monkeypatch.setattr(readiness, "_BLIND_SECONDS", -1.0)
        ready.publish_connections(TASK)
        assert len(state.view.connections) == 1
        assert state.view.state is State.STARTING

    play(scene)
