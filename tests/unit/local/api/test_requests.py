"""Bodies of requests: the first value of a wrong type is named by its place."""

from __future__ import annotations

import pytest

from qarnot_local.api.errors import MalformedError, invalid
from qarnot_local.api.requests import model_of
from qarnot_local.runtime.definition import TaskDefinition


@pytest.mark.parametrize(
    ("body", "where", "place"),
    [
        (5, "$", "$"),
        ({"tags": [1]}, "$", "tags[0]"),
        ({"dependencies": {"advancedDependsOn": ["x"]}}, "$", "dependencies.advancedDependsOn[0]"),
        (5, "$[1]", "$[1]"),
        ({"tags": 5}, "$[1]", "$[1].tags"),
    ],
)
def test_places(body: object, where: str, place: str) -> None:
    with pytest.raises(MalformedError) as error:
        model_of(body, TaskDefinition, where)
    assert error.value.field == place


def test_invalid_fields_are_named_in_the_message() -> None:
    assert (invalid("a", "b").status, invalid("a", "b").message) == (400, "Invalid task file. Invalid fields: a, b")
