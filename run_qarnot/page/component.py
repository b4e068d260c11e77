"""What all components share: words, a visible problem, and events that are checked and never fail in silence.

A visitor can send any message to any widget (`reference/voila-ipyvuetify.md` §7). So traits go one way, from here to
the browser: `set_state` ignores what comes back. What the browser has to say comes as events, whose fields are read
through `Fields`, which refuses every value of an unexpected kind.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import traitlets
from ipyvuetify.VuetifyTemplate import VuetifyTemplate

from run_qarnot.page import compiled
from run_qarnot.page.background import Background
from run_qarnot.page.problems import as_problem
from run_qarnot.page.words import section

Buffers = Sequence[memoryview]


class HostileInput(ValueError):  # noqa: N818  never raised out of this package
    """A message that no honest page of ours sends. It is dropped."""


class Fields:
    """The fields of an event, read with their kind and size checked."""

    def __init__(self, data: object) -> None:
        self._data = data if isinstance(data, Mapping) else {}

    def text(self, name: str, longest: int = 1000) -> str:
        value = self._data.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise HostileInput(name)
        return value

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """A list of at most so many texts."""
        value = self._data.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise HostileInput(name)
        return [Fields({"": item}).text("", longest) for item in value]

    def each(self, name: str, most: int) -> list[Fields]:
        """A list of at most so many events of their own."""
        value = self._data.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise HostileInput(name)
        return [Fields(item) for item in value]

    def whole(self, name: str) -> int:
        """A number of at least 0 without fraction, as JavaScript can hold it exactly."""
        value = self._data.get(name)
        if type(value) is not int or not 0 <= value < 2**53:
            raise HostileInput(name)
        return value

    def flag(self, name: str) -> bool:
        value = self._data.get(name)
        if not isinstance(value, bool):
            raise HostileInput(name)
        return value

    def value(self, name: str, longest: int = 10_000) -> str | bool | float | list[str]:
        """What a form field of any kind may hold."""
        value = self._data.get(name)
        if isinstance(value, list):
            return self.texts(name, 1000, longest)
        if isinstance(value, bool) or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        return self.text(name, longest)


class Component(VuetifyTemplate):  # type: ignore[misc,unused-ignore]
    """A `.vue` file and its traits. The traits are what the browser sees: never put a secret in one."""

    words: Any = traitlets.Dict().tag(sync=True)
    problem: Any = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    source: Path | None = None  # the `.vue` file

    def __init__(self, name: str, tasks: Background, **traits: Any) -> None:
        self.tasks = tasks
        self._name = name
        self._error: BaseException | None = None
        if self.source is not None:
            traits["template"] = compiled.template(self.source)
        super().__init__(words=section(name), **traits)

    def set_state(self, sync_data: object) -> None:
        """Ignore the browser's wish to set traits: see the module."""

    def call(self, method: str, *arguments: object) -> None:
        """Call `jupyter_<method>` of the component in the browser."""
        self.send({"method": method, "args": list(arguments)})

    def failed(self, error: BaseException) -> None:
        """Show an error on this component."""
        self._error = error
        self.problem = dict(as_problem(error))

    def retranslate(self) -> None:
        """Say everything again: the language is another one."""
        self.words = section(self._name)
        if self.problem is not None and self._error is not None:
            self.failed(self._error)

    def vue_dismiss(self, _data: object) -> None:
        """The error was read."""
        self.problem = self._error = None


def event(method: Callable[..., Any]) -> Callable[..., None]:
    """Make a `vue_*` method safe: its data become `Fields`, its errors visible, its coroutine a kept task."""
    takes_buffers = len(inspect.signature(method).parameters) > 2

    @functools.wraps(method)
    def handle(self: Component, data: object = None, buffers: Buffers = ()) -> None:
        try:
            arguments = (Fields(data), buffers) if takes_buffers else (Fields(data),)
            work = method(self, *arguments)
            if inspect.iscoroutine(work):
                self.tasks.spawn(_without_hostile(work), self.failed)
        except HostileInput:
            return
        except Exception as error:  # noqa: BLE001  exceptions of callbacks go nowhere at all (§3): show them
            self.failed(error)

    return handle


async def _without_hostile(work: Any) -> None:
    try:
        await work
    except HostileInput:
        return
