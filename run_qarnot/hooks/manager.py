"""Calls plugins one by one, so that an error of one does not affect the others."""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import ValidationError

from run_qarnot.catalog import Catalog, merge
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.catalog.hooks import Panel, ReadFile
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.problem import Problem
from run_qarnot.catalog.reader import Reading, read_entries
from run_qarnot.core.errors import RefusedError
from run_qarnot.core.messages import Message, Verbatim, english
from run_qarnot.core.redaction import redact
from run_qarnot.hooks import isolation
from run_qarnot.hooks.api import Refusal, session_info
from run_qarnot.hooks.discovery import HookManager, Plugin, find
from run_qarnot.hooks.events import events_between
from run_qarnot.hooks.isolation import Outcome, call
from run_qarnot.hooks.prepare import UnusableError, draft_of, plan_of
from run_qarnot.hooks.results import as_options, as_panel, as_reading, image_problems
from run_qarnot.model.plan import TaskPlan
from run_qarnot.model.settings import Settings
from run_qarnot.model.spec import SessionSpec
from run_qarnot.model.view import SessionView

_MOST_ANSWERS = 100_000
_LONGEST_REASON = 500
log = logging.getLogger(__name__)


@dataclass
class Plugins:
    """The plugins that were found. It is the `Hooks` of the catalog that it makes."""

    manager: HookManager
    settings: Settings
    found: list[Plugin]
    _slow: set[tuple[str, str]] = field(
        default_factory=set
    )  # plugin and hook that took too long and are not called again
    _events: queue.SimpleQueue[Callable[[], None]] = field(default_factory=queue.SimpleQueue)
    _teller: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def problems(self) -> list[Problem]:
        """The problems of the plugins that are known so far."""
        return [problem for plugin in self.found for problem in plugin.problems]

    def catalog(self) -> Catalog:
        """Build the catalog from the apps, images and options of all plugins."""
        apps = self._apps()
        readings = list(self._readings())
        catalog = merge(readings, apps, self)
        images = self._with_options(catalog)
        return replace(catalog, images=images, problems=(*self.problems, *catalog.problems))

    # — the methods of `catalog.hooks.Hooks` —

    def prepare(self, plan: TaskPlan, spec: SessionSpec) -> TaskPlan:
        """Let each plugin change the plan. The changes of one that fails are discarded."""
        for plugin, function, names in self._calls("rq_prepare"):
            before = draft_of(plan, spec)
            draft = deepcopy(before)
            given: dict[str, Any] = {"plan": draft, "spec": replace(spec, options=deepcopy(dict(spec.options)))}
            outcome = call(function, **{name: given[name] for name in names})
            if isinstance(outcome.error, Refusal):
                said = Verbatim(redact(" ".join(str(outcome.error).split()))[:_LONGEST_REASON])
                reason = said or Message("refusal-without-reason")
                raise RefusedError("plugin-refused", reason=reason, plugin=plugin.name)
            if not self._is_good(plugin, "rq_prepare", outcome):
                continue
            if outcome.value is not None:
                plugin.report("hook-answer", hook="rq_prepare", wanted=Message("nothing"), found=_kind(outcome.value))
            try:
                plan = plan if draft == before else plan_of(draft, plan, spec)
            except UnusableError as error:
                plugin.report("plan", part=error.part, problem=error.problem)
                log.warning("%s", english(plugin.problems[-1].placed))
        return plan

    def changed(self, before: SessionView, after: SessionView, now: datetime) -> None:
        """Send events to the plugins, in the background and in order."""
        if not any(True for _ in self._calls("rq_event")):
            return
        info = session_info(after)
        for event in events_between(before, after, now):
            self._later(lambda event=event: self._tell(session=info, event=event))  # type: ignore[misc]

    def drain(self, seconds: float) -> None:
        """Wait until the plugins have received all events."""
        deadline = time.monotonic() + seconds
        while (teller := self._teller) is not None and (left := deadline - time.monotonic()) > 0:
            teller.join(left)

    def panels(self, view: SessionView, read: ReadFile) -> list[Panel]:
        """Ask every plugin for its panel."""
        info, panels = session_info(view, read), []
        for plugin, answer in self._each("rq_panel", session=info):
            panel = as_panel(plugin, answer)
            if panel is not None:
                panels.append(panel)
            elif answer is not None:
                plugin.report("hook-answer", hook="rq_panel", wanted=Message("answer.panel"), found=_kind(answer))
        return panels

    # — images —

    def _apps(self) -> dict[str, App]:
        apps, bringers = dict(BUILTIN), dict.fromkeys(BUILTIN, "run_qarnot")
        for plugin, answer in self._each("rq_apps"):
            for app in _listed(answer):
                if not isinstance(app, App):
                    plugin.report("hook-answer", hook="rq_apps", wanted=Message("answer.apps"), found=_kind(app))
                elif problem := next(app.problems(), None):
                    plugin.report("app-wrong", app=app.kind, problem=problem)
                elif app.kind in apps:
                    plugin.report("app-twice", app=app.kind, first=bringers[app.kind])
                else:
                    apps[app.kind], bringers[app.kind] = app, plugin.name
        return apps

    def _readings(self) -> Iterator[Reading]:
        public = replace(self.settings, token=None, login_token=None)
        for plugin, answer in self._each("rq_images", settings=public):
            if isinstance(answer, Mapping):
                yield read_entries(answer, plugin.name)
            elif isinstance(answer, list) and all(isinstance(each, Reading) for each in answer):
                yield from answer
            else:
                yield as_reading(plugin, answer)

    def _with_options(self, catalog: Catalog) -> dict[str, Image]:
        """Call each plugin for all images in one thread: there may be ten thousand."""
        images = dict(catalog.images)
        for plugin, function, names in self._calls("rq_options"):
            answers: dict[str, Any] = {}
            asked: list[str] = []
            outcome = call(_ask_each, function=function, named=bool(names), images=images, answers=answers, asked=asked)
            self._is_good(plugin, "rq_options", outcome, entry=asked[-1] if asked and not outcome.slow else "")
            images |= {name: as_options(plugin, images[name], answer) for name, answer in dict(answers).items()}
        return images

    # — calling —

    def _calls(self, hook: str) -> Iterator[tuple[Plugin, Callable[..., Any], tuple[str, ...]]]:
        """Yield the implementations of a hook with their arguments, in the order in which the plugins were found."""
        implementations = {i.plugin_name: i for i in getattr(self.manager.hook, hook).get_hookimpls()}
        for plugin in self.found:
            implementation = implementations.get(plugin.name)
            if implementation is not None and plugin.hooks and (plugin.name, hook) not in self._slow:
                yield plugin, implementation.function, implementation.argnames

    def _each(self, hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Any]]:
        """Call `hook` of every plugin; skip and report those that fail."""
        for plugin, function, names in self._calls(hook):
            seconds = float("inf") if plugin.where == "built in" else None
            given = {name: arguments[name] for name in names}
            outcome = call(_complete, seconds=seconds, function=function, given=given)
            if self._is_good(plugin, hook, outcome):
                yield plugin, outcome.value

    def _is_good(self, plugin: Plugin, hook: str, outcome: Outcome, entry: str = "") -> bool:
        if outcome.printed.strip():
            plugin.report("plugin-printed", what=f"`{hook}`", text=redact(outcome.printed.strip()[:80]))
        if outcome.slow:
            self._slow.add((plugin.name, hook))
            plugin.report("plugin-slow", what=f"`{hook}`", seconds=isolation.SLOW_SECONDS, entry=entry)
        elif isinstance(outcome.error, ValidationError):
            plugin.problems.extend(p for p in image_problems(plugin, outcome.error) if p not in plugin.problems)
        elif outcome.error is not None:
            plugin.report(
                "plugin-failed", hook=hook, problem=outcome.problem, details=redact(outcome.details),
                line=outcome.line_in(plugin.path), entry=entry,
            )  # fmt: skip
        if outcome.slow or outcome.error is not None:
            if hook in {"rq_prepare", "rq_event", "rq_panel"}:
                log.warning("%s", english(plugin.problems[-1].placed))
            return False
        return True

    # — events, in the background —

    def _tell(self, **arguments: Any) -> None:
        for plugin, answer in self._each("rq_event", **arguments):
            if answer is not None:
                plugin.report("hook-answer", hook="rq_event", wanted=Message("nothing"), found=_kind(answer))

    def _later(self, work: Callable[[], None]) -> None:
        """Have the background thread do it. The thread ends when the queue is empty, so that none outlives its page."""
        self._events.put(work)
        with self._lock:
            if self._teller is None:
                self._teller = threading.Thread(target=self._work, name="plugin-events", daemon=True)
                self._teller.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._events.empty():
                    self._teller = None
                    return
                work = self._events.get()
            try:
                work()
            except Exception as error:  # noqa: BLE001  the next events are told too
                log.warning("An event did not reach the plugins: %s: %s", type(error).__name__, error)
                log.debug("%s", traceback.format_exc())


def find_plugins(settings: Settings) -> Plugins:
    """Find all plugins: built in, in installed packages, in the folder; in this order."""
    manager, found = find(settings)
    return Plugins(manager, settings, found)


def _complete(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    """Call a hook. A generator is consumed here, under the time limit."""
    answer = function(**given)
    return list(islice(answer, _MOST_ANSWERS)) if isinstance(answer, Iterator) else answer


def _ask_each(
    function: Callable[..., Any], named: bool, images: Mapping[str, Image], answers: dict[str, Any], asked: list[str]
) -> None:
    for name, image in images.items():
        asked[:] = [name]
        answer = function(image=image) if named else function()
        if answer:
            answers[name] = answer


def _listed(answer: Any) -> Iterable[Any]:
    if answer is None:
        return ()
    return answer if isinstance(answer, list | tuple | set) else (answer,)


def _kind(value: object) -> str:
    return type(value).__name__
