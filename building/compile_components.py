"""Compiles the page's components while the package is built: hatch calls this for wheels and editable installations.

It writes `components.js`, which is no part of the repository; `run_qarnot/page/compiled.py` says what for.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from py_mini_racer import MiniRacer

ROOT = Path(__file__).parents[1]
COMPILE_SECONDS = 60
_IMPORT = re.compile(r'^import \{ (.*) \} from "vue"$', re.MULTILINE)  # a module imports on its top only


class CompileComponents(BuildHookInterface[Any]):
    """Named in pyproject.toml."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file before anything is packed."""
        sys.path.insert(0, str(ROOT))
        from run_qarnot.page import compiled

        ground_first = sorted(compiled.SOURCES.glob("*.vue"), key=lambda path: (path.stem != "shell", path.stem))
        text = "\n".join(_module(compiled, ground_first)) + "\n"  # the order is that of their styles
        compiled.MODULE.parent.mkdir(exist_ok=True)
        compiled.MODULE.write_text(text, encoding="utf-8")
        build_data["artifacts"].append(f"/{compiled.MODULE.relative_to(ROOT).as_posix()}")


def _module(compiled: Any, paths: list[Path]) -> Iterator[str]:
    """Yield the lines of the module: digests of the sources, what they share, their styles, and each as an export."""
    sources = {path.stem: compiled.parts(path) for path in paths}
    made = _compile({name: text for name, (text, _, _) in sources.items()})
    yield from (f"// {path.stem} {compiled.digest(path)}" for path in paths)
    yield 'import * as Vue from "vue"'
    yield sources["shell"][1]
    styles = json.dumps("\n".join(component["style"].strip() for component in made.values()), ensure_ascii=False)
    yield "const style = document.head.appendChild(document.createElement('style'))"
    yield f"style.textContent = {styles}"
    for name, component in made.items():
        yield f"export const {name} = (() => {{"
        yield _IMPORT.sub(_take, component["template"]).replace("export function render", "function render", 1).strip()
        yield sources[name][2].strip()
        yield component["script"].replace("export default", "const component =", 1).strip()
        yield "return { ...component, render }"
        yield "})()"


def _compile(sources: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return script, template and style of each component, as ipyvue's own compiler makes them."""
    files = importlib.metadata.files("ipyvue") or []
    chunks = {file.name: file.read_text() for file in files if file.match("labextensions/jupyter-vue/static/*.js")}
    engine = MiniRacer()
    engine.eval(Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))
    result: Any = engine.eval(f"compileComponents({json.dumps(chunks)}, {json.dumps(sources)})")
    made: dict[str, dict[str, str]] = json.loads(result.get(timeout=COMPILE_SECONDS))
    return made


def _take(names: re.Match[str]) -> str:
    return f"const {{ {names[1].replace(' as ', ': ')} }} = Vue"
