"""A component's template and its Python class share one set of names in the browser."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

from run_qarnot.page import components
from run_qarnot.page.component import Component


def _all() -> list[type[Component]]:
    for module in pkgutil.iter_modules(components.__path__):
        importlib.import_module(f"{components.__name__}.{module.name}")
    return sorted(Component.__subclasses__(), key=lambda each: each.__name__)


@pytest.mark.parametrize("component", _all(), ids=lambda each: each.__name__)
def test_no_value_of_a_template_hides_an_event_or_a_trait(component: type[Component]) -> None:
    """`this.address` was a text and the event `address` at once: no file could be sent straight to the storage."""
    assert component.source is not None
    data = re.search(r"^  data\(\) \{\s(?:.*\n)??.*?return \{(.*)\}", component.source.read_text(), re.MULTILINE)
    own = set(re.findall(r"(?:^|, )\s*(\w+):", data[1])) if data else set()
    assert own, "each has values of its own; the test finds them as they are written today"
    events = {name.removeprefix("vue_") for name in dir(component) if name.startswith("vue_")}
    assert own & (events | set(component.class_traits(sync=True))) == set()
