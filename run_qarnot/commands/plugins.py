"""Commands about plugins: `plugins`, `new-plugin`."""

from __future__ import annotations

import importlib.resources
import keyword
import re
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from run_qarnot import __version__
from run_qarnot.catalog.problem import Problem
from run_qarnot.commands import show
from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.messages import Message
from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.settings import PLUGINS_FOLDER, Settings

_FILES = {"plugin.py": "{name}.py", "test_plugin.py": "tests/test_{name}.py"}
_PACKAGE = {
    "plugin.py": "{dashed}/src/{name}/__init__.py",
    "pyproject.toml": "{dashed}/pyproject.toml",
    "test_package.py": "{dashed}/tests/test_{name}.py",
}


def plugins(settings: Settings, arguments: Namespace) -> int:
    """Print the plugins with location, version, hooks and problems. The catalog is read, so that hooks are called."""
    found = find_plugins(settings)
    catalog = found.catalog()
    rows = [
        {
            "name": plugin.name,
            "where": plugin.where,
            "path": plugin.path,
            "version": plugin.version,
            "hooks": list(plugin.hooks),
            "images": sum(image.source == plugin.name for image in catalog),
            "problems": [_problem(problem) for problem in catalog.problems if problem.source == plugin.name],
        }
        for plugin in found.found
    ]
    if arguments.json:
        show.out_json(rows)
        return 0
    columns = ("name", "where", "version", "images", "hooks")
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    show.table([name.upper() for name in columns], cells)
    for problem in catalog.problems:
        show.err(f"problem: {problem}")
    return 0


def new_plugin(settings: Settings, arguments: Namespace) -> int:
    """Write a working plugin as a starting point, and its test. Existing files are not overwritten."""
    name, package = arguments.name, arguments.package
    _check_name(name)
    folder = arguments.folder or Path() if package else arguments.folder or Path(PLUGINS_FOLDER)
    targets = {
        source: folder / target.format(name=name, dashed=name.replace("_", "-"))
        for source, target in (_PACKAGE if package else _FILES).items()
    }
    for target in targets.values():
        if target.exists():
            raise InputError("output-exists", path=target)
    for source, target in targets.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(source, name), encoding="utf-8")
        except OSError as error:
            raise InputError("write", path=target, problem=reason_of(error)) from error
        show.out(str(target))
    test = targets["test_package.py" if package else "test_plugin.py"]
    if package:
        root = folder / name.replace("_", "-")
        show.err(f"Install it with `pip install --editable {root}`, then `run-qarnot plugins` lists it.")
    else:
        show.err("`run-qarnot plugins` lists it, and its image is on the page when that is loaded again.")
    show.err(f"Its test: `python -m pytest {test}`.")
    return 0


def _problem(problem: Problem) -> dict[str, object]:
    return {**asdict(problem), "facts": problem.english_facts}


def _cell(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _check_name(name: str) -> None:
    suggestion = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789") or "ours"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        problem = Message("plugin-name-module")
    elif keyword.iskeyword(name) or name in {"test", "tests", "run_qarnot"}:
        problem, suggestion = Message("plugin-name-taken"), f"{name}_plugin"
    else:
        return
    raise InputError("plugin-name", name=name, problem=problem, suggestion=suggestion)


def _filled(source: str, name: str) -> str:
    text = (importlib.resources.files("run_qarnot.commands") / "new_plugin" / f"{source}.txt").read_text("utf-8")
    facts = {"NAME": name, "DASHED": name.replace("_", "-"), "TITLE": name.replace("_", " ").capitalize()}
    for word, value in {**facts, "VERSION": __version__}.items():
        text = text.replace(f"@{word}@", value)
    return text
