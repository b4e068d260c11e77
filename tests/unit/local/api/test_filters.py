"""The filters of lists, as Qarnot's document describes them."""

from __future__ import annotations

from typing import Any

import pytest

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.filters import Condition, check_filter, chosen, comparable, field_of, matches

VIEW = {
    "Name": "calm-heron", "InstanceCount": 3, "Tags": ["a", "b"], "CreationDate": "2026-03-02T09:00:00Z",
    "Dependencies": {"DependsOn": ["x"]}, "Nothing": None,
}  # fmt: skip


def met(operator: str, field: str, value: Any) -> bool:
    key = "values" if isinstance(value, list) else "value"
    return matches(VIEW, Condition.model_validate({"operator": operator, "field": field, key: value}))


@pytest.mark.parametrize(
    ("operator", "field", "value", "answer"),
    [
        ("Equal", "name", "calm-heron", True),
        ("equal", "NAME", "other", False),
        ("NotEqual", "Name", "other", True),
        ("Equal", "Tags", "a", True),
        ("Equal", "Dependencies.DependsOn", "x", True),
        ("Equal", "CreationDate", "2026-03-02T10:00:00+01:00", True),
        ("In", "Name", ["x", "calm-heron"], True),
        ("In", "Name", "calm-heron", True),
        ("NotIn", "Name", ["x"], True),
        ("LessThan", "InstanceCount", 4, True),
        ("LessThan", "InstanceCount", 3, False),
        ("LessThanOrEqual", "InstanceCount", 3, True),
        ("GreaterThan", "InstanceCount", 2, True),
        ("GreaterThan", "InstanceCount", 3, False),
        ("GreaterThanOrEqual", "InstanceCount", 3, True),
        ("GreaterThan", "CreationDate", "2026-03-02T08:59:59Z", True),
        ("GreaterThan", "Name", 1, False),
        ("LessThan", "Nothing", 1, False),
        ("Like", "Name", "calm%", True),
        ("Like", "Name", "heron%", False),
        ("Like", "Name", "heron", True),
        ("Like", "Name", "c.lm", False),
        ("Like", "InstanceCount", "3", False),
    ],
)
def test_comparisons(operator: str, field: str, value: Any, answer: bool) -> None:
    assert met(operator, field, value) is answer


def test_trees_of_conditions() -> None:
    yes, no = ({"operator": "Equal", "field": "InstanceCount", "value": number} for number in (3, 4))
    for operator, answers in (("And", [True, False, False]), ("or", [True, True, False])):
        parts = ([yes, yes], [yes, no], [no, no])
        trees = [Condition.model_validate({"operator": operator, "filters": each}) for each in parts]
        assert [matches(VIEW, tree) for tree in trees] == answers
    assert matches(VIEW, None)
    assert matches(VIEW, Condition(operator="and"))
    assert not matches(VIEW, Condition(operator="or"))
    with pytest.raises(MalformedError):
        check_filter(Condition(operator="near"), VIEW)


def test_fields() -> None:
    assert field_of(VIEW, "dependencies.dependson") == ["x"]
    assert field_of(VIEW, "Name.x") is None
    assert chosen(VIEW, ["name", "Dependencies.DependsOn", "unknown", "Tags.x"]) == {
        "Name": "calm-heron",
        "Dependencies": {"DependsOn": ["x"]},
    }


def test_each_kind_is_in_order() -> None:
    values = [None, 1, 2.5, "2026-03-02", "2026-03-02T09:00:00Z", "x", "y"]
    backwards = values[::-1]
    assert sorted(backwards, key=comparable) == values
