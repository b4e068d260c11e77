"""The contract for plugins."""

from __future__ import annotations

import inspect

import pytest

from run_qarnot.hooks import spec
from run_qarnot.hooks.discovery import HOOKS


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_specified_with_its_arguments_and_never_called(name: str) -> None:
    function = getattr(spec, name)
    arguments = dict.fromkeys(inspect.signature(function).parameters)
    with pytest.raises(NotImplementedError):
        function(**arguments)
    described = inspect.getdoc(function) or ""
    assert all(f"{argument}:" in described for argument in arguments)


def test_the_marks_are_those_of_one_project() -> None:
    assert spec.hookimpl.project_name == spec.hookspec.project_name == spec.PROJECT
