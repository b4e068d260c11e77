"""Compiles the page's components while the package is built: hatch calls this for wheels and editable installations.

It writes `components.js`, which is no part of the repository; `run_qarnot/page/compiled.py` says what for.

The compiler is Vue's own, `@vue/compiler-sfc`, in the version of Vue that ipyvue brings. npm's package of it is kept in
`vue/`, so that a build needs no network; npm's hash shows that it is unchanged. mini-racer, a JavaScript engine that is
on PyPI, runs the compiler's build for browsers, so that no node is needed.

For another version: `npm pack @vue/compiler-sfc@VERSION` in `vue/`, and below the version and the hash that
`npm view @vue/compiler-sfc@VERSION dist.integrity` prints.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from py_mini_racer import MiniRacer

ROOT = Path(__file__).parents[1]
VUE_VERSION = "3.5.39"
COMPILER = Path(__file__).parent / "vue" / f"compiler-sfc-{VUE_VERSION}.tgz"
INTEGRITY = "sha512-d0ki86iOyN8LoZPBmk5SJWNwHP19CnDDCfuo//+2WJa2g5Ke0Jay983PIBIcSSzldC68I8DrD5GrHV3OSDfodg=="
_EXPORTS = re.compile(r"^export \{ (.*) \};\s*\Z", re.MULTILINE)  # at the compiler's end: it is a module
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


def read_compiler() -> str:
    """Return the compiler as a script, which leaves what it exports in `compiler`.

    Raises:
        ValueError: the package is not the one that npm delivers.
    """
    package = COMPILER.read_bytes()
    if f"sha512-{base64.b64encode(hashlib.sha512(package).digest()).decode()}" != INTEGRITY:
        raise ValueError(f"{COMPILER} is not the package that npm delivers: its hash differs")
    with tarfile.open(fileobj=io.BytesIO(package)) as files:
        module = files.extractfile("package/dist/compiler-sfc.esm-browser.js")
        assert module is not None
        text = module.read().decode()
    script, found = _EXPORTS.subn(lambda names: f"globalThis.compiler = {{ {_renamed(names[1])} }}", text)
    assert found == 1, "the compiler is a module with one list of exports"
    return script


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
    """Return script, template and style of each component."""
    engine = MiniRacer()
    engine.eval(read_compiler())
    engine.eval(Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))
    made: dict[str, dict[str, str]] = json.loads(engine.call("compileComponents", sources))
    return made


def _take(names: re.Match[str]) -> str:
    return f"const {{ {names[1].replace(' as ', ': ')} }} = Vue"


def _renamed(names: str) -> str:
    """Return the properties of an object for a list of exports: `a as b, c` is `b: a, c`."""
    pairs = [name.split(" as ") for name in names.split(", ")]
    return ", ".join(f"{pair[-1]}: {pair[0]}" for pair in pairs)
