"""The table of commands."""

from __future__ import annotations

import importlib
import inspect

import pytest

from run_qarnot.commands.parser import make_parser, parse
from run_qarnot.commands.table import COMMANDS

REQUIRED = {
    "new-plugin": "ours", "launch": "base", "start": "a", "extend": "a 2", "show": "a", "open": "a",
    "logs": "a", "add": "a b", "save": "a",
    "stop": "a", "results": "a", "delete": "a", "link": "base", "completion": "bash",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_function_of_a_command_is_there_and_takes_what_it_is_given(name: str) -> None:
    module, _, function_name = COMMANDS[name].run.partition(":")
    function = getattr(importlib.import_module(f"run_qarnot.commands.{module}"), function_name)
    first = "account" if inspect.iscoroutinefunction(function) else "settings"
    assert list(inspect.signature(function).parameters) == [first, "arguments"]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_parser_hands_out_the_function(name: str) -> None:
    parsed = parse([name, *REQUIRED.get(name, "").split()])
    assert parsed is not None
    assert parsed.run == COMMANDS[name].run


def test_no_argument_hides_the_function() -> None:
    arguments = {
        action.dest
        for command in make_parser()._subparsers._group_actions[0].choices.values()  # type: ignore[union-attr]
        for action in command._actions
    }
    assert "run" not in arguments
