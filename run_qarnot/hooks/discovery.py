"""Finds plugins: built in, installed packages, the folder; in this order. A bad one costs one row."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Unpack

import pluggy

from run_qarnot import __version__
from run_qarnot.catalog.problem import Problem, ProblemFacts, make_problem
from run_qarnot.core.errors import reason_of
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.names import nearest
from run_qarnot.core.redaction import redact
from run_qarnot.hooks import autosklearn, builtin, spec
from run_qarnot.hooks.isolation import SLOW_SECONDS, call
from run_qarnot.model.settings import Settings

Where = Literal["built in", "package", "folder"]
HOOKS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)
    for name, function in vars(spec).items()
    if name.startswith("rq_") and inspect.isfunction(function)
}


@dataclass
class Plugin:
    """A plugin that was found, and what is wrong with it."""

    name: str
    where: Where
    version: str = ""
    path: str = ""
    hooks: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    module: Any = field(default=None, repr=False)

    def report(
        self,
        code: str,
        *,
        entry: str = "",
        key: str = "",
        line: int | None = None,
        details: str = "",
        **facts: Unpack[ProblemFacts],
    ) -> None:
        """Add a problem, once."""
        problem = make_problem(code, self.name, entry=entry, key=key, line=line, details=details, **facts)
        if problem not in self.problems:
            self.problems.append(problem)


class HookManager(pluggy.PluginManager):
    """pluggy's manager, but a hook that is misspelt or has a wrong signature is told, and the others of its plugin
    work. pluggy itself takes some of these without a word, and for others refuses the whole plugin."""

    def __init__(self) -> None:
        super().__init__(spec.PROJECT)
        self.add_hookspecs(spec)
        self._loading: Plugin | None = None

    def take(self, plugin: Plugin) -> None:
        """Register the hooks of a loaded plugin, and write down which they are."""
        self._loading = plugin
        try:
            self.register(plugin.module, plugin.name)
        finally:
            self._loading = None
        callers = self.get_hookcallers(plugin.module) or []
        plugin.hooks = tuple(sorted(caller.name for caller in callers))

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        """Return how a function is marked as a hook; None for what is none, or cannot be used."""
        function, found = getattr(plugin, name, None), self._loading
        options = super().parse_hookimpl_opts(plugin, name) if callable(function) else None
        assert found is not None
        if options is None:
            if name.startswith("rq_") and inspect.isfunction(function) and function.__module__ != spec.__name__:
                _report(found, _unmarked(name))
            return None
        hook = options.get("specname") or name
        problem = _hook_problem(hook, function, wrapper=options["wrapper"] or options["hookwrapper"])
        if problem is not None:
            _report(found, problem)
            return None
        return options


def find(settings: Settings) -> tuple[HookManager, list[Plugin]]:
    """Find and load all plugins. What is wrong with one is in its `problems`."""
    manager, plugins = HookManager(), list[Plugin]()
    for plugin, load in _sources(settings):
        if load is None:
            pass  # what is wrong is known already
        elif any(other.name == plugin.name for other in plugins):
            plugin.report("plugin-name")
        else:
            _load(manager, plugin, load)
        plugins.append(plugin)
    return manager, plugins


def _load(manager: HookManager, plugin: Plugin, load: Callable[[], Any]) -> None:
    outcome = call(load)
    if outcome.printed:
        plugin.report("plugin-printed", what=Message("loading"), text=redact(outcome.printed.strip()[:80]))
    if outcome.slow:
        plugin.report("plugin-slow", what=Message("loading"), seconds=SLOW_SECONDS)
        return
    if outcome.error is not None:
        line = outcome.line_in(plugin.path)
        plugin.report("plugin-load", problem=outcome.problem, line=line, details=redact(outcome.details))
        return
    plugin.module = outcome.value
    plugin.version = plugin.version or str(getattr(outcome.value, "__version__", ""))
    for hook, owner, line in _in_classes(outcome.value):
        plugin.report("hook-class", hook=hook, owner=owner, line=line)
    try:
        manager.take(plugin)
    except Exception as error:  # noqa: BLE001  a module may even have a property that raises
        plugin.report("plugin-load", problem=Verbatim(f"{type(error).__name__}: {error}"))


def _sources(settings: Settings) -> Iterator[tuple[Plugin, Callable[[], Any] | None]]:
    for name, module in ((settings.images.name or str(settings.images), builtin), ("auto-sklearn", autosklearn)):
        yield Plugin(name, "built in", __version__), partial(importlib.import_module, module.__name__)
    for point in importlib.metadata.entry_points(group=spec.PROJECT):
        yield Plugin(point.name, "package", point.dist.version if point.dist else "", point.value), point.load
    yield from _in_folder(settings.plugins)


def _in_folder(folder: Path | None) -> Iterator[tuple[Plugin, Callable[[], Any] | None]]:
    if folder is None:
        return
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        plugin = Plugin(folder.name, "folder", path=str(folder))
        kind = {FileNotFoundError: "file-missing", NotADirectoryError: "file-kind"}.get(type(error))
        plugin.report(kind or "file-unreadable", found=str(folder), problem=reason_of(error))
        yield plugin, None
        return
    for path in paths:
        file = path / "__init__.py" if path.is_dir() else path
        if file.suffix == ".py" and file.exists() and not path.name.startswith("."):
            yield Plugin(path.name, "folder", path=str(file)), partial(_import_file, file)


def _import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two plugins, or two folders, never share a module."""
    place = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]
    name = f"run_qarnot_plugin_{place}_{path.parent.name if path.name == '__init__.py' else path.stem}"
    inner = [str(path.parent)] if path.name == "__init__.py" else None
    module_spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=inner)
    if module_spec is None or module_spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException:  # re-raised (a plugin may call sys.exit); a half-executed module must not stay importable
        del sys.modules[name]
        raise
    return module


def _in_classes(module: Any) -> Iterator[tuple[str, str, int]]:
    """Yield the hooks that stand in classes of a module: their names, their class, and their line."""
    for owner in list(vars(module).values()) if inspect.ismodule(module) else ():
        if inspect.isclass(owner) and owner.__module__ == module.__name__:
            for name, function in vars(owner).items():
                inner = getattr(function, "__func__", function)  # of a static or class method
                if inspect.isfunction(inner) and (name.startswith("rq_") or hasattr(inner, f"{spec.PROJECT}_impl")):
                    yield name, owner.__name__, inner.__code__.co_firstlineno


def _report(plugin: Plugin, problem: tuple[str, ProblemFacts]) -> None:
    plugin.report(problem[0], **problem[1])


def _unmarked(name: str) -> tuple[str, ProblemFacts]:
    if name in HOOKS:
        return "hook-unmarked", {"hook": name}
    return "hook-unknown", {"hook": name, "allowed": Verbatim(", ".join(HOOKS)), "nearest": nearest(name, HOOKS)}


def _hook_problem(hook: str, function: Any, *, wrapper: bool) -> tuple[str, ProblemFacts] | None:
    """What is wrong with a function that is marked as a hook: a code and its facts."""
    if hook not in HOOKS:
        return _unmarked(hook)
    if wrapper or inspect.iscoroutinefunction(function) or not callable(function):
        return "hook-kind", {"hook": hook, "found_kind": Message("kind.wrapper" if wrapper else "kind.asynchronous")}
    wanted = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD
        or (parameter.name not in HOOKS[hook] and parameter.default is parameter.empty)
    ]
    if wanted:
        allowed = Verbatim(", ".join(HOOKS[hook])) if HOOKS[hook] else Message("no-arguments")
        return "hook-arguments", {"hook": hook, "found": ", ".join(wanted), "allowed": allowed}
    return None
