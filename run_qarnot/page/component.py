"""The base of all components: texts, a visible error, and events whose fields are checked and whose errors are shown.

A visitor can send any message to any widget (`reference/voila-ipyvuetify.md` §7). Traits therefore go only from here to
the browser: `set_state` ignores changes by the browser. The browser sends events, whose fields are read through
`Fields`, which refuses values of unexpected types.
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
    """A message that our page never sends. It is dropped."""


class Fields:
    """The fields of an event; type and size are checked on reading."""

    def __init__(self, data: object) -> None:
        self._data = data if isinstance(data, Mapping) else {}

    def text(self, name: str, longest: int = 1000) -> str:
        value = self._data.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise HostileInput(name)
        return value

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """Return a list of at most `most` texts."""
        value = self._data.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise HostileInput(name)
        return [Fields({"": item}).text("", longest) for item in value]

    def each(self, name: str, most: int) -> list[Fields]:
        """Return a list of at most `most` objects."""
        value = self._data.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise HostileInput(name)
        return [Fields(item) for item in value]

    def whole(self, name: str) -> int:
        """Return a non-negative integer that JavaScript represents exactly."""
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
        """Return the value of a form field of any kind."""
        value = self._data.get(name)
        if isinstance(value, list):
            return self.texts(name, 1000, longest)
        if isinstance(value, bool) or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        return self.text(name, longest)


class Component(VuetifyTemplate):  # type: ignore[misc,unused-ignore]
    """A `.vue` file and its traits. The browser sees all traits: never put a secret in one."""

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
        """Ignore the browser's request to set traits; see the module."""

    def call(self, method: str, *arguments: object) -> None:
        """Call `jupyter_<method>` of the component in the browser."""
        self.send({"method": method, "args": list(arguments)})

    def failed(self, error: BaseException) -> None:
        """Show an error on this component."""
        self._error = error
        self.problem = dict(as_problem(error))

    def retranslate(self) -> None:
        """Re-render all texts in the current language."""
        self.words = section(self._name)
        if self.problem is not None and self._error is not None:
            self.failed(self._error)

    def vue_dismiss(self, _data: object) -> None:
        """Clear the error that the user closed."""
        self.problem = self._error = None


def event(method: Callable[..., Any]) -> Callable[..., None]:
    """Decorate a `vue_*` method: pass its data as `Fields`, show its errors, and run a coroutine as a task."""
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
