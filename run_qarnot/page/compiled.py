"""The page's components, compiled when the package was built (`building/compile_components.py`).

ipyvue compiles `.vue` files in the browser at each visit, which takes half a second of processor time and loads a
compiler of 800 kB. The page imports what was compiled ahead as one module instead, by ipyvue's `esm_module`.

A `.vue` file that has changed since is compiled in the browser, and so are all of them where the page is not served by
Voila, because only Voila serves our module. Both give the same component.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported where it is needed, because compiling the components needs no ipyvue
    from ipyvue.Template import Template

SOURCES = Path(__file__).parent / "components"
MODULE = Path(__file__).parent / "template" / "static" / "components.js"
# The library that a component gets as text, for a worker: the name of the constant, and the file in `vendor/`.
_LIBRARIES = {"files": ("HASH_WASM", "hash-wasm-md5.umd.min.js")}
_NAME = "run-qarnot"  # of our Voila template, too
_DIGEST = re.compile(r"^// (\w+) (\w{16})$", re.MULTILINE)


@functools.cache
def template(source: Path) -> Template:
    """Return the template widget of a `.vue` file, which all components of a kind share."""
    from ipyvue.Template import Template

    if digests().get(source.stem) == digest(source):
        _have_it_fetched()
        return Template(esm_module=_NAME, esm_export=source.stem)
    text, shared, own = parts(source)
    return Template(template=text.replace("<script>\n", f"<script>\n{shared}{own}", 1), source_url=source.name)


def parts(source: Path) -> tuple[str, str, str]:
    """Return a `.vue` file, the script that all components share, and the component's own scripts."""
    own = sorted(path for path in SOURCES.glob("*.js") if path.name.split(".")[0] == source.stem)
    scripts = [path.read_text(encoding="utf-8") for path in own]
    if source.stem in _LIBRARIES:
        constant, file = _LIBRARIES[source.stem]
        scripts.insert(0, f"const {constant} = {json.dumps((SOURCES / 'vendor' / file).read_text(encoding='utf-8'))}\n")
    shared = (SOURCES / "shared.js").read_text(encoding="utf-8")
    return source.read_text(encoding="utf-8"), shared, "".join(scripts)


def digest(source: Path) -> str:
    """Return a digest that shows whether a component has changed since it was compiled."""
    return hashlib.sha256("\0".join(parts(source)).encode()).hexdigest()[:16]


@functools.cache
def digests() -> dict[str, str]:
    """Return the digests of the compiled components; empty if there are none, or no server that serves them."""
    if "VOILA_BASE_URL" not in os.environ or not MODULE.is_file():
        return {}
    return dict(_DIGEST.findall(MODULE.read_bytes()[:2000].decode(errors="replace")))


@functools.cache
def _have_it_fetched() -> None:
    """Send the browser the module's address."""
    from ipyvue.esm import define_module

    version = hashlib.sha256(MODULE.read_bytes()).hexdigest()[:16]  # for the browser's cache
    base = os.environ["VOILA_BASE_URL"]
    define_module(_NAME, url=f"{base}voila/templates/{_NAME}/static/{MODULE.name}?v={version}", dependencies=[])
