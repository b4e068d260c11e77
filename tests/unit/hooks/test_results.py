"""Answers of plugins become images, options and panels, or problems."""

from __future__ import annotations

from typing import Any

import pytest

from run_qarnot.catalog.hooks import Panel
from run_qarnot.catalog.image import Image, Option
from run_qarnot.hooks.discovery import Plugin
from run_qarnot.hooks.results import as_options, as_panel, as_reading

IMAGE = Image(id="base", repo="a/b", options={"depth": Option(type="int")}, source="images.toml")


@pytest.fixture
def plugin() -> Plugin:
    return Plugin(name="ours.py", where="folder", path="plugins/ours.py")


def codes(plugin: Plugin) -> list[str]:
    return [problem.code for problem in plugin.problems]


def test_images_get_the_name_of_their_plugin(plugin: Plugin) -> None:
    one, several = as_reading(plugin, IMAGE), as_reading(plugin, iter([IMAGE, IMAGE]))
    assert [image.source for image in (*one.images, *several.images)] == ["ours.py"] * 3
    assert as_reading(plugin, None).images == ()
    assert codes(plugin) == []


@pytest.mark.parametrize(
    ("answer", "code"), [("base", "hook-answer"), (3, "hook-answer"), (Image(id="a", app="batch"), "repo-missing")]
)
def test_what_is_no_image_is_a_problem(plugin: Plugin, answer: Any, code: str) -> None:
    assert as_reading(plugin, answer).images == ()
    assert codes(plugin) == [code]


def test_options_are_added_and_those_of_the_image_stay(plugin: Plugin) -> None:
    changed = as_options(plugin, IMAGE, {"depth": Option(), "width": {"type": "float"}, "bad": {"type": "floot"}})
    assert {name: option.type for name, option in changed.options.items()} == {"depth": "int", "width": "float"}
    assert codes(plugin)[0] == "option-twice"
    assert len(plugin.problems) == 2
    assert as_options(plugin, IMAGE, ["width"]) == IMAGE
    assert codes(plugin)[-1] == "hook-answer"


def test_a_panel_is_text_in_rows(plugin: Plugin) -> None:
    panel = as_panel(plugin, Panel("Title", "Text", ("a", "b"), ((1, None),)))  # type: ignore[arg-type]
    assert panel == Panel("Title", "Text", ("a", "b"), (("1", "None"),), "ours.py")


NUMBER: Any = 5  # where a plugin gives something else


@pytest.mark.parametrize(
    "answer",
    [None, "text", Panel(NUMBER, "t"), Panel("t", {}), Panel("t", "t", (), (NUMBER,)), Panel("t", "t", NUMBER)],
)
def test_what_cannot_be_shown_is_no_panel(plugin: Plugin, answer: Any) -> None:
    assert as_panel(plugin, answer) is None
