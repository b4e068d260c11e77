"""Who may import whom. Arrows point downwards only; `CONTRIBUTING.md` has the same table in words."""

from __future__ import annotations

import ast
import sys
from collections.abc import Container, Iterator
from pathlib import Path

import pytest
from support.repository import LOCAL_CLUSTER, PACKAGE, ROOT, module_name

# Lowest first. A module imports from its own layer and from those below.
LAYERS = (
    ("core", "lifeline"),
    ("catalog", "model", "bootstrap"),
    ("hooks", "cloud"),
    ("engine",),
    ("doctor",),
    ("page", "commands", "public"),
    ("__init__", "__main__"),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NEVER = {("hooks", "cloud"), ("cloud", "hooks"), ("page", "commands"), ("page", "cloud"), ("commands", "cloud")}
ONLY_IN_CLOUD = {"qarnot", "boto3", "botocore", "requests"}
MAY_START_THE_LOCAL_CLUSTER = {"commands", "__main__"}  # lazily: not when they are imported

MODULES = sorted(PACKAGE.rglob("*.py"), key=module_name)


def part_of(path: Path) -> str:
    """The package below `run_qarnot` that a module belongs to; `__init__` and `__main__` stand for themselves."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def each(*, of: Container[str] = (), but: Container[str] = ()) -> pytest.MarkDecorator:
    """Run a test for each module, `of` some parts or of all `but` some."""
    paths = [path for path in MODULES if (part_of(path) in of if of else part_of(path) not in but)]
    return pytest.mark.parametrize("path", paths, ids=module_name)


def imports(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Yield the full names that a module imports; without `lazy`, only those that importing it imports."""
    for node, is_lazy in _walk(ast.parse(path.read_text()), is_lazy=False):
        if is_lazy and not lazy:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: write the whole name, so that this test can read it"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _walk(node: ast.AST, *, is_lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    for child in ast.iter_child_nodes(node):
        hidden = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        hidden |= isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield child, is_lazy
        yield from _walk(child, is_lazy=is_lazy or hidden)


def ours(path: Path, *, lazy: bool = True) -> set[str]:
    """The parts of this package (first names) that a module imports."""
    names = set(imports(path, lazy=lazy)) - {"run_qarnot.__version__"}
    parts = [name.split(".") for name in names if name.split(".")[0] == "run_qarnot"]
    return {part[1] if len(part) > 1 and part[1] in LEVEL else "__init__" for part in parts}


def packages(path: Path, *, lazy: bool = True) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.split(".")[0] for name in imports(path, lazy=lazy)}


def test_every_part_has_a_row_in_the_table() -> None:
    assert {part_of(path) for path in MODULES} <= set(LEVEL)


@each(of=LEVEL)
def test_nothing_points_upwards(path: Path) -> None:
    me = part_of(path)
    wrong = {other for other in ours(path) if LEVEL[other] > LEVEL[me]}
    wrong |= {other for other in ours(path) if (me, other) in NEVER}
    assert not wrong, f"{me} must not import {', '.join(sorted(wrong))}"


@each(of=("core",))
def test_the_core_needs_the_standard_library_alone(path: Path) -> None:
    assert packages(path) - {"run_qarnot"} <= sys.stdlib_module_names


@pytest.mark.parametrize("path", sorted(LOCAL_CLUSTER.rglob("*.py")), ids=module_name)
def test_the_local_cluster_imports_nothing_of_run_qarnot(path: Path) -> None:
    """It is a second, independent reading of Qarnot's API: shared code would make both wrong together."""
    assert "run_qarnot" not in packages(path)


@each()
def test_nobody_needs_the_local_cluster(path: Path) -> None:
    assert "qarnot_local" not in packages(path, lazy=False)
    if part_of(path) not in MAY_START_THE_LOCAL_CLUSTER:
        assert "qarnot_local" not in packages(path)


@each(but=("cloud",))
def test_only_cloud_talks_to_qarnot_and_to_storage(path: Path) -> None:
    assert not packages(path) & ONLY_IN_CLOUD


@each()
def test_what_blocks_runs_in_threads_that_nobody_waits_for(path: Path) -> None:
    """asyncio's default executor is joined at the end: a call in it that hangs would keep who presses Ctrl-C."""
    if module_name(path) == "run_qarnot.engine.daemon_executor":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        name = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
        name = node.attr if isinstance(node, ast.Attribute) else name
        names = {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else {name}
        forbidden = {"to_thread", "run_in_executor", "ThreadPoolExecutor"} & names
        assert not forbidden, f"{path}:{getattr(node, 'lineno', 0)}: use engine.daemon_executor"


@each()
def test_the_engine_asks_the_cluster_through_its_client_alone(path: Path) -> None:
    if module_name(path) == "run_qarnot.engine.client" or part_of(path) == "doctor":  # which tries the calls themselves
        return
    for node in ast.walk(ast.parse(path.read_text())):
        is_cloud = isinstance(node, ast.Attribute) and node.attr.strip("_") == "cloud"
        assert not is_cloud, f"{path}:{getattr(node, 'lineno', 0)}: use engine.client"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("*.py")), ids=lambda path: path.name)
def test_plugins_use_public_names_alone(path: Path) -> None:
    used = {name.rsplit(".", 1)[0] for name in imports(path) if name.startswith("run_qarnot")}
    assert used == {"run_qarnot"}
