"""Converts the return values of plugins, which may be anything, into images, options and panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from run_qarnot.catalog.hooks import Panel
from run_qarnot.catalog.image import Image, Option
from run_qarnot.catalog.problem import Problem, make_problem
from run_qarnot.catalog.reader import Reading
from run_qarnot.catalog.validation import problems_of
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.hooks.discovery import Plugin

_WANTED_IMAGES = Message("answer.images")


def as_reading(plugin: Plugin, answer: Any) -> Reading:
    """Return the images in the answer of `rq_images`; other values are problems."""
    if answer is None:
        return Reading()
    several = isinstance(answer, Iterable) and not isinstance(answer, str | bytes | Image)
    items = answer if several else [answer]
    images = []
    for item in items:
        if isinstance(item, Image) and item.lacks_repo:
            plugin.report("repo-missing", entry=item.id, key="repo")
        elif isinstance(item, Image):
            images.append(item.model_copy(update={"source": plugin.name}))
        else:
            plugin.report("hook-answer", hook="rq_images", wanted=_WANTED_IMAGES, found=type(item).__name__)
    return Reading(tuple(images))


def as_options(plugin: Plugin, image: Image, answer: Any) -> Image:
    """Return the image with the options of a plugin added; existing options are kept."""
    if not isinstance(answer, Mapping):
        wanted = Message("answer.options")
        plugin.report("hook-answer", hook="rq_options", wanted=wanted, found=type(answer).__name__)
        return image
    options = dict(image.options)
    for name, given in answer.items():
        if name in options:
            plugin.report("option-twice", option=name, first=image.source, entry=image.id)
        elif (option := _as_option(plugin, image, name, given)) is not None:
            options[name] = option
    return image.model_copy(update={"options": options})


def _as_option(plugin: Plugin, image: Image, name: Any, given: Any) -> Option | None:
    try:
        return Image.model_validate({"id": image.id, "options": {name: given}}).options[name]
    except ValidationError as error:
        for problem in problems_of(error, plugin.name, image.id):
            if problem not in plugin.problems:
                plugin.problems.append(problem)
    return None


def image_problems(plugin: Plugin, error: ValidationError) -> list[Problem]:
    """Return the problems of an invalid `Image` or `Option` of a plugin, in the texts for entries."""
    return problems_of(error, plugin.name, "") or [make_problem("value", plugin.name, problem=Verbatim(str(error)))]


def as_panel(plugin: Plugin, answer: Any) -> Panel | None:
    """Return the answer of `rq_panel` if it can be shown, otherwise None."""
    if not isinstance(answer, Panel) or not _is_text(answer.title) or not _is_text(answer.text):
        return None
    try:
        head = tuple(cell if _is_text(cell) else str(cell) for cell in answer.head)
        rows = tuple(tuple(str(cell) for cell in row) for row in answer.rows)
        return Panel(answer.title, answer.text, head, rows, plugin.name)
    except TypeError:
        return None


def _is_text(value: Any) -> bool:
    """Return whether a value is a text, or a mapping of language → text."""
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(each, str) for pair in value.items() for each in pair)
    return isinstance(value, str)
