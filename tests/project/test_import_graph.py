"""No file imports another that imports it, over however many others: each can be read and tested without the rest."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from support.repository import LOCAL_CLUSTER, PACKAGE, module_name


def graph(package: Path) -> dict[str, set[str]]:
    """The modules of a package, and which others each imports: at its top, late, and for types alone.

    The package itself is left out: what it offers by name is for other programs, and its own modules read its version.
    """
    files = {module_name(path): path for path in package.rglob("*.py")}
    del files[package.name]
    return {name: set(_imported(path, files)) - {name} for name, path in files.items()}


def _imported(path: Path, modules: Collection[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from [name] if name in modules else [node.module] if node.module in modules else []


@pytest.mark.parametrize("package", [PACKAGE, LOCAL_CLUSTER], ids=lambda package: package.name)
def test_the_import_graph_has_no_circle(package: Path) -> None:
    try:
        TopologicalSorter(graph(package)).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(reversed(error.args[1]))}")
