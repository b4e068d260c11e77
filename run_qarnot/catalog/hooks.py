"""The interface through which engine, page and commands call plugins. `run_qarnot.hooks` implements it; `NoHooks`
stands for a catalog without plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from run_qarnot.core.language import Texts

if TYPE_CHECKING:
    from run_qarnot.catalog.problem import Problem
    from run_qarnot.model.plan import TaskPlan
    from run_qarnot.model.spec import SessionSpec
    from run_qarnot.model.view import SessionView

ReadFile = Callable[[str], bytes]


@dataclass(frozen=True)
class Panel:
    """An addition of a plugin to a session's card: a title, with Markdown, a table, or both.

    Arguments:
        title: one line. This, `text` and the names in `head` may be mappings of language → text, such as
            `{"en": "Packages", "fr": "Paquets"}`; a text alone is shown as it is in every language.
        text: Markdown. Raw HTML in it is shown as text.
        head: the names of the table's columns.
        rows: of the table; each has as many cells as `head`, if there is one.
        source: the plugin; set automatically.
    """

    title: Texts
    text: Texts = ""
    head: tuple[Texts, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    source: str = field(default="", compare=False)


class Hooks(Protocol):
    """The hooks that concern sessions. None of these raises because of a bad plugin."""

    @property
    def problems(self) -> Sequence[Problem]:
        """The problems of the plugins that are known so far."""
        ...

    def prepare(self, plan: TaskPlan, spec: SessionSpec) -> TaskPlan:
        """Return the plan as the plugins changed it. Blocks: run it in a thread.

        Raises:
            RefusedError: a plugin refuses the start.
        """
        ...

    def changed(self, before: SessionView, after: SessionView, now: datetime) -> None:
        """Send the plugins the events between two views, with the time `now`. Returns at once."""
        ...

    def drain(self, seconds: float) -> None:
        """Wait at most `seconds` until the plugins have received all events. Blocks."""
        ...

    def panels(self, view: SessionView, read: ReadFile) -> list[Panel]:
        """Return the panels for a session. `read` returns a file of its results. Blocks: run it in a thread."""
        ...


class NoHooks:
    """No plugins."""

    problems: Sequence[Problem] = ()

    def prepare(self, plan: TaskPlan, spec: SessionSpec) -> TaskPlan:
        return plan

    def changed(self, before: SessionView, after: SessionView, now: datetime) -> None:
        return

    def drain(self, seconds: float) -> None:
        return

    def panels(self, view: SessionView, read: ReadFile) -> list[Panel]:
        return []
