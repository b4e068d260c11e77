"""Models of the wire: keys in any case, nulls as not given, no value of another type."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from qarnot_local.runtime.definition import (
    Constant,
    ElasticProperty,
    HardwareConstraint,
    PoolDefinition,
    TaskDefinition,
)


def test_keys_come_in_any_case_and_are_answered_in_one() -> None:
    task = TaskDefinition.model_validate({"NAME": "x", "resultsCachettlsec": 5, "unknown": 1, "TAGS": None})
    answer = task.model_dump()
    assert (answer["name"], answer["resultsCacheTTLSec"], answer["tags"]) == ("x", 5, [])
    assert "unknown" not in answer
    assert task.given == {"name", "results_cache_ttl_sec"}


def test_the_second_name_of_a_field_counts_when_the_first_is_not_given() -> None:
    def bucket(**given: str | None) -> str | None:
        return TaskDefinition.model_validate(given).result_bucket

    assert bucket(resultsBucket="b") == "b"
    assert bucket(resultsBucket="b", resultBucket="a") == bucket(resultBucket="a", resultsBucket="b") == "a"
    assert bucket(resultsBucket="b", resultBucket=None) == "b"


@pytest.mark.parametrize("given", [{"instanceCount": True}, {"instanceCount": "3"}, {"tags": [None]}, {"name": 5}, 5])
def test_a_value_of_another_type_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        TaskDefinition.model_validate(given)


def test_what_is_answered_as_it_was_sent_has_no_nulls() -> None:
    constraint = HardwareConstraint.model_validate({"discriminator": "x", "minimumMemoryMB": 4, "coreCount": None})
    assert constraint.model_dump() == {"discriminator": "x", "minimumMemoryMB": 4.0}


def test_constants_are_texts_and_lists_are_none() -> None:
    given: tuple[Any, ...] = ("x", 5, True, 1.5, ["x"], {})
    values = [Constant.model_validate({"key": "A", "value": value}).value for value in given]
    assert values == ["x", "5", "true", "1.5", None, None]


def test_two_definitions_share_no_default() -> None:
    one, other = PoolDefinition(), PoolDefinition()
    one.tags.append("x")
    one.elastic_property.is_elastic = True
    assert (other.tags, other.elastic_property) == ([], ElasticProperty())
