"""A module has a test that is named after it, or that imports it: whoever changes it knows where to look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.repository import LOCAL_CLUSTER, PACKAGE, ROOT, module_name

MODULES = [path for folder in (PACKAGE, LOCAL_CLUSTER) for path in sorted(folder.rglob("*.py"))]
TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
NAMED = {(test.parent.name, test.stem.removeprefix("test_")) for test in TESTS if test.name.startswith("test_")}


def imported() -> Iterator[str]:
    """Yield the full names of everything that a test, or what stands beside tests, imports; and what they name."""
    for test in TESTS:
        for node in ast.walk(ast.parse(test.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (word for word in node.value.split() if word.startswith(("run_qarnot.", "qarnot_local.")))


IMPORTED = set(imported())


def has_a_test(name: str) -> bool:
    package, _, module = name.rpartition(".")
    rooms = {package.rpartition(".")[2], "local" if name.startswith("qarnot_local.") else ""}
    return name in IMPORTED or any((room, module) in NAMED for room in rooms)


def test_every_module_has_a_test() -> None:
    without = {name for path in MODULES if path.stem != "__init__" and not has_a_test(name := module_name(path))}
    assert sorted(without) == [], "no test names or imports these"
