"""What the engine and the faces ask of plugins. `run_qarnot.hooks` answers; a catalog without plugins does nothing."""

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
    """More on a session's card, brought by a plugin: a title, and Markdown or a table, or both.

    Arguments:
        title: one line. This, `text` and the names in `head` may be mappings of language → text, such as
            `{"en": "Packages", "fr": "Paquets"}`; a text alone is shown as it is in every language.
        text: Markdown. Raw HTML in it is shown as text.
        head: the names of the table's columns.
        rows: of the table; each has as many cells as `head`, if there is one.
        source: who brought it; filled in for you.
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
        """What is wrong with the plugins, as far as is known now."""
        ...

    def prepare(self, plan: TaskPlan, spec: SessionSpec) -> TaskPlan:
        """Return the plan as the plugins want it. Blocks: run it in a thread.

        Raises:
            RefusedError: a plugin does not want it to be started.
        """
        ...

    def changed(self, before: SessionView, after: SessionView, now: datetime) -> None:
        """Tell the plugins what happened between two views, and that it is `now`. Returns at once."""
        ...

    def drain(self, seconds: float) -> None:
        """Wait until the plugins have been told everything. Blocks, for at most so long."""
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
