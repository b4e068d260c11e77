"""The page's components, compiled when the package was built (`packaging/compile_components.py`).

ipyvue compiles `.vue` files in the browser, anew at each visit: half a second of processor time, and a compiler of
800 kB to load. What was compiled ahead, the page imports as one module, by ipyvue's `esm_module`.

A `.vue` file that has changed since is compiled in the browser, as all are elsewhere than under Voila: nobody else
serves our file. Both give the same component.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path

from ipyvue.esm import define_module
from ipyvue.Template import Template

SOURCES = Path(__file__).parent / "components"
MODULE = Path(__file__).parent / "template" / "static" / "components.js"
_NAME = "run-qarnot"  # of our Voila template, too
_DIGEST = re.compile(r"^// (\w+) (\w{16})$", re.MULTILINE)


@functools.cache
def template(source: Path) -> Template:
    """Return what shows the component of a `.vue` file; one for all components of a kind."""
    text, shared, own = parts(source)
    if digests().get(source.stem) == digest(source):
        return Template(esm_module=_NAME, esm_export=source.stem)
    return Template(template=text.replace("<script>\n", f"<script>\n{shared}{own}", 1), source_url=source.name)


def parts(source: Path) -> tuple[str, str, str]:
    """Return a `.vue` file, the script that all components share, and what the component has in one of its own."""
    files = (source, SOURCES / "shared.js", SOURCES / f"{source.stem}.js")
    return tuple(file.read_text(encoding="utf-8") if file.exists() else "" for file in files)  # type: ignore[return-value]


def digest(source: Path) -> str:
    """Return what tells whether a component is still the one that was compiled."""
    return hashlib.sha256("\0".join(parts(source)).encode()).hexdigest()[:16]


@functools.cache
def digests() -> dict[str, str]:
    """Return the digests of what was compiled, by component; has the browser fetch the module, if there is one."""
    base = os.environ.get("VOILA_BASE_URL")
    if base is None or not MODULE.is_file():
        return {}
    code = MODULE.read_bytes()
    version = hashlib.sha256(code).hexdigest()[:16]  # so that the browser may keep it
    define_module(_NAME, url=f"{base}voila/templates/{_NAME}/static/{MODULE.name}?v={version}", dependencies=[])
    return dict(_DIGEST.findall(code[:2000].decode(errors="replace")))
