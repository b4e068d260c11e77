"""Names say what a thing is: no two public classes share one."""

from __future__ import annotations

import ast
from collections import defaultdict

from support.repository import LOCAL_CLUSTER, PACKAGE, module_name


def test_no_two_public_classes_share_a_name() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for folder in (PACKAGE, LOCAL_CLUSTER):
        for path in sorted(folder.rglob("*.py")):
            if module_name(path) == "run_qarnot.public":
                continue  # it gives users the engine's two words, without its `await`
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name].append(module_name(path))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}
