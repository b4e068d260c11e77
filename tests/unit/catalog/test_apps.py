"""An app of a plugin: every mistake in it is said."""

from __future__ import annotations

from typing import Any

import pytest

from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.model.connections import Mount


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": 1}, "`kind` must be text"),
        ({"title": None}, "`title` must be text"),
        ({"port": "8"}, "`port` must be a whole number or None"),
        ({"port": True}, "`port` must be a whole number or None"),
        ({"ends_by_itself": 1}, "`ends_by_itself` must be true or false"),
        ({"probe_path": 3}, "`probe_path` must be text or None"),
        ({"kind": "A"}, "`kind` must be small letters, digits and hyphens"),
        ({"kind": "a b"}, "`kind` must be small letters, digits and hyphens"),
        ({"port": 0}, "`port` must be between 1 and 65535"),
        ({"port": 65536}, "`port` must be between 1 and 65535"),
        ({"proxy": "x"}, "`proxy` must be prefix, strip, none"),
        ({"open_path": "lab"}, "`open_path` must begin with “/”"),
        ({"probe_path": "api"}, "`probe_path` must begin with “/”"),
        ({"ready_pattern": "("}, "`ready_pattern` does not compile: missing ), unterminated subpattern at position 0"),
    ],
)
def test_a_mistake_is_said(fields: dict[str, Any], said: str) -> None:
    assert list(map(str, App(**{"kind": "a", "title": "A", **fields}).problems())) == [said]


@pytest.mark.parametrize("fields", [{"port": 1}, {"port": 65535}, {"probe_path": None}, {"kind": "a-1"}])
def test_what_is_right_is_not_criticised(fields: dict[str, Any]) -> None:
    assert list(App(**{"kind": "a", "title": "A", **fields}).problems()) == []


def test_several_mistakes_are_all_said() -> None:
    assert len(list(App("A", "", port=0, open_path="x", ready_pattern="(", proxy="x").problems())) == 5


def test_the_built_in_ones_are_right_and_mounted_as_they_say() -> None:
    assert [problem for app in BUILTIN.values() for problem in app.problems()] == []
    mounts = {kind: app.mount for kind, app in BUILTIN.items()}
    assert mounts == {"jupyterlab": Mount.PREFIX, "ssh": Mount.NONE, "web": Mount.STRIP, "batch": Mount.NONE}
    assert App("x", "X", port=None, proxy="prefix").mount is Mount.NONE
