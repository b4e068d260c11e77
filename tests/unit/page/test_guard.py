"""The attacks of `reference/voila-ipyvuetify.md` §7, played at a component (the markers are harmless)."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

import pytest
import traitlets
from ipyvue import VueTemplateWidget
from support.pages import tell

from run_qarnot.page import guard
from run_qarnot.page.background import Background
from run_qarnot.page.component import Component, Fields, event


class Victim(Component):
    label = traitlets.Unicode("before").tag(sync=True)
    template = traitlets.Unicode("<template><div/></template>").tag(sync=True)

    def __init__(self) -> None:
        self.called: list[Any] = []
        super().__init__("shell", Background())

    def secret(self, *arguments: object) -> None:
        self.called.append(("secret", arguments))

    @event
    def vue_hello(self, fields: Fields) -> None:
        self.called.append(fields.text("name"))

    @event
    def vue_crash(self, _fields: Fields) -> None:
        raise ZeroDivisionError("of course")


ATTACKS: list[Any] = [
    {"create_widget": ["subprocess", "Popen"], "props": {"args": ["touch", "marker"]}, "id": "1"},
    {"create_widget": ["builtins", "exec"], "props": {}, "id": "1", "event": "hello", "data": {"name": "x"}},
    {"update_ref": {"functionRef": "secret", "args": ["x"]}, "id": "MODEL", "prop": "label"},
    {"update_ref": "after", "id": "MODEL", "prop": "label"},
    {"destroy_widget": "MODEL"},
    {"functionRef": "secret", "args": []},
    {"event": "hello", "data": {"name": "x"}, "functionRef": "secret"},
    {"event": "__class__", "data": {}},
    {"event": "hello.__func__", "data": {}},
    {"event": ["hello"], "data": {}},
    {"event": None},
    {},
    None,
    "event",
    ["event"],
]


@pytest.fixture
def victim() -> Victim:
    guard.install()
    return Victim()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nothing_but_events_has_an_effect(victim: Victim, attack: Any) -> None:
    if isinstance(attack, dict):
        attack = {key: victim.model_id if value == "MODEL" else value for key, value in attack.items()}
    before = victim._component_instances
    victim._handle_custom_msg(attack, [])
    assert victim.called == []
    assert victim.label == "before"
    assert victim._component_instances == before


def test_without_the_guard_the_attack_works(victim: Victim) -> None:
    """So that the test above proves something: when ipyvue closes the hole itself, this fails and we may relax."""
    source = importlib.util.find_spec("ipyvue.VueTemplateWidget")
    assert source is not None
    assert source.loader is not None
    untouched = importlib.util.module_from_spec(source)
    source.loader.exec_module(untouched)
    attack = {"update_ref": {"functionRef": "secret", "args": ["x"]}, "id": victim.model_id, "prop": "label"}
    with contextlib.suppress(KeyError, traitlets.TraitError):  # what it does after the call does not matter
        untouched.Events._handle_event(victim, None, attack, [])
    assert victim.called == [("secret", ("x",))]


def test_the_guard_sits_where_messages_pass(victim: Victim) -> None:
    """`_handle_custom_msg` → the registered callback → ours; fails if ipyvue renames what we replace."""
    assert VueTemplateWidget.Events._handle_event is guard.only_events
    assert [callback.__func__ for callback in victim._msg_callbacks.callbacks] == [guard.only_events]


def test_installing_says_when_it_would_guard_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(VueTemplateWidget.Events, "_handle_event")
    with pytest.raises(RuntimeError, match="does not fit"):
        guard.install()


def test_events_pass(victim: Victim) -> None:
    tell(victim, "hello", {"name": "Ada"})
    assert victim.called == ["Ada"]


@pytest.mark.parametrize("data", [None, 3, [], {}, {"name": 3}, {"name": "x" * 1001}, {"name": None}])
def test_fields_of_another_kind_are_dropped(victim: Victim, data: object) -> None:
    tell(victim, "hello", data)
    assert victim.called == []
    assert victim.problem is None


def test_an_exception_becomes_visible(victim: Victim) -> None:
    tell(victim, "crash")
    assert "ZeroDivisionError" in victim.problem["what"]
    tell(victim, "dismiss")
    assert victim.problem is None


def test_the_browser_cannot_set_a_trait(victim: Victim) -> None:
    victim._handle_msg({"content": {"data": {"method": "update", "state": {"label": "after", "problem": {}}}}})
    assert victim.label == "before"
    assert victim.problem is None
