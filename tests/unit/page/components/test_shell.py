"""The frame: pings, the visitor of a preheated kernel, the language."""

from __future__ import annotations

from typing import Any

import pytest
from support.pages import record, tell

from run_qarnot.page.background import Background
from run_qarnot.page.components.account import AccountCard
from run_qarnot.page.components.shell import Shell


@pytest.fixture
def shell(page: Any, tasks: Background) -> Shell:
    return Shell(page, tasks, AccountCard(page, tasks))


def test_a_ping_is_answered_and_noted(shell: Shell) -> None:
    calls, before = record(shell), shell.seen
    tell(shell, "ping")
    assert calls == [("pong", [])]
    assert shell.seen >= before
    assert shell.shown.is_set()


def test_only_the_first_visitor_of_a_preheated_kernel_counts(shell: Shell, page: Any) -> None:
    tell(shell, "visitor_arrived", {"query": "opt-image=a"})
    assert page.calls == [], "it was not preheated"
    shell.preheated = True
    tell(shell, "visitor_arrived", {"query": "opt-image=a"})
    tell(shell, "visitor_arrived", {"query": "opt-image=b"})
    assert page.calls == [("visitor_arrived", ("opt-image=a",))]


def test_events_are_passed_on(shell: Shell, page: Any) -> None:
    tell(shell, "show_older")
    tell(shell, "speak", {"language": "fr"})
    tell(shell, "speak", {"language": "a long one that there is not"})
    assert page.calls == [("show_older", ()), ("set_language", ("fr",))]


def test_a_reload_asks_again_only_for_a_token_that_was_typed(shell: Shell) -> None:
    shell.account.state = "known"
    assert shell.asks_again
    shell.account.state = "asking"
    assert not shell.asks_again
    shell.account.preset = True
    shell.account.state = "known"
    assert not shell.asks_again
