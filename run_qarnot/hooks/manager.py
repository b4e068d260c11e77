"""Finds plugins and calls them one by one, so that a bad one costs one row and nothing else."""

from __future__ import annotations

import concurrent.futures
import importlib.metadata
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from run_qarnot.catalog import Catalog, merge
from run_qarnot.catalog.image import Image
from run_qarnot.catalog.reader import Problem, Reading, read_entries
from run_qarnot.hooks import builtin, spec
from run_qarnot.settings import Settings

SLOW_SECONDS = 5.0


@dataclass
class Plugins:
    """The plugins that were found, and the problems met on the way."""

    manager: pluggy.PluginManager
    settings: Settings
    problems: list[Problem] = field(default_factory=list)

    def catalog(self) -> Catalog:
        """Ask every plugin for its images and put them together."""
        public = replace(self.settings, token=None, login_token=None)
        readings = [_as_reading(name, answer) for name, answer in self._each("rq_images", settings=public)]
        catalog = merge(readings)
        return Catalog(catalog.images, (*self.problems, *catalog.problems))

    def _each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call `hook` of every plugin in order of discovery; skip and report those that fail."""
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():  # in order of registration
            name = implementation.plugin_name
            wanted = {key: arguments[key] for key in implementation.argnames}
            try:
                yield name, _call(implementation.function, wanted)
            except TimeoutError:
                self._report(name, f"`{hook}` took over {SLOW_SECONDS:g} seconds and was skipped")
            except BaseException as error:  # the work of others: it may even call sys.exit
                if isinstance(error, KeyboardInterrupt | GeneratorExit):
                    raise
                self._report(name, f"`{hook}` failed: {type(error).__name__}: {error}", traceback.format_exc())

    def _report(self, plugin: str, message: str, details: str = "") -> None:
        self.problems.append(Problem(plugin, message=message, details=details))


def find_plugins(settings: Settings) -> Plugins:
    """Find all plugins: built in, installed packages, the folder; in this order."""
    manager = pluggy.PluginManager(spec.PROJECT)
    manager.add_hookspecs(spec)
    plugins = Plugins(manager, settings)
    for name, load in _sources(settings):
        try:
            module = _call(load, {})
            manager.register(module, name=name)
            plugins.problems.extend(_misspelt(manager, module, name))
            manager.check_pending()
        except TimeoutError:
            plugins._report(name, f"loading took over {SLOW_SECONDS:g} seconds; it was skipped")
        except BaseException as error:  # importing the work of others can raise anything
            if isinstance(error, KeyboardInterrupt):
                raise
            if manager.has_plugin(name):
                manager.unregister(name=name)
            plugins._report(name, f"could not be loaded: {type(error).__name__}: {error}", traceback.format_exc())
    return plugins


def _sources(settings: Settings) -> Iterable[tuple[str, Callable[[], Any]]]:
    yield settings.images.name, lambda: builtin
    for point in importlib.metadata.entry_points(group=spec.PROJECT):
        yield point.name, point.load
    if settings.plugins is not None and settings.plugins.is_dir():
        for path in sorted(settings.plugins.glob("*.py")):
            yield path.name, lambda path=path: _import_file(path)  # type: ignore[misc]


def _import_file(path: Path) -> ModuleType:
    """Import a file under a name of its own, so that two plugins, or two folders, never share a module."""
    name = f"run_qarnot_plugin_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path)
    if module_spec is None or module_spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    module_spec.loader.exec_module(module)
    return module


def _misspelt(manager: pluggy.PluginManager, module: Any, name: str) -> Iterator[Problem]:
    """`register` takes a misspelt hook without a word."""
    known = {hook for hook in vars(manager.hook) if hook.startswith("rq_")}
    for hook in dir(module):
        if hook.startswith("rq_") and not hasattr(spec, hook) and callable(getattr(module, hook)):
            message = f"`{hook}` is no hook; there are: {', '.join(sorted(h for h in known if hasattr(spec, h)))}"
            yield Problem(name, message=message)


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call the work of others with a time limit. A thread that hangs is left behind: it cannot be ended."""
    executor = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="plugin")
    try:
        return executor.submit(function, **arguments).result(timeout=SLOW_SECONDS)
    finally:
        executor.shutdown(wait=False)


def _as_reading(plugin: str, answer: Any) -> Reading:
    if answer is None:
        return Reading()
    if isinstance(answer, Reading):
        return answer
    if isinstance(answer, Mapping):
        return read_entries(answer, plugin)
    images, problems = [], []
    for item in answer if isinstance(answer, Iterable) and not isinstance(answer, str) else [answer]:
        if isinstance(item, Image):
            images.append(item.model_copy(update={"source": plugin}))
        else:
            problems.append(Problem(plugin, message=f"`rq_images` gave {type(item).__name__}, not an Image"))
    return Reading(tuple(images), tuple(problems))
