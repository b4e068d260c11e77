"""Clones: what a request gives replaces what the first task had, with what hangs together."""

from __future__ import annotations

from qarnot_local.api.definitions import merged, overridden
from qarnot_local.api.field_checks import wrong_group, wrong_pairs
from qarnot_local.api.pool_checks import wrong_pool
from qarnot_local.runtime.definition import ElasticProperty, PoolDefinition, TaskDefinition

FIRST = TaskDefinition.model_validate(
    {"name": "x", "shortname": "s", "profile": "p", "poolUuid": "a", "advancedRanges": "0-2", "resourceBuckets": ["b"]}
)


def clone(**given: object) -> TaskDefinition:
    return overridden(FIRST, TaskDefinition.model_validate(given))


def test_what_hangs_together_is_overridden_together() -> None:
    assert clone() == FIRST.model_copy(update={"shortname": None})
    assert (clone(poolUuid="c").profile, clone(poolUuid="c").pool_uuid) == (None, "c")
    assert clone(jobUuid="j").pool_uuid is None
    assert clone(instanceCount=3).advanced_ranges is None
    assert clone(poolUuid="", profile=None) == clone()


def test_a_clone_shares_nothing_with_the_first() -> None:
    clone().resource_buckets.append("c")
    assert FIRST.resource_buckets == ["b"]


def test_pairs_and_groups_exclude_each_other() -> None:
    both = {"resourceBuckets": ["a"], "advancedResourceBuckets": [{"bucketName": "b"}]}
    retries = {"maxRetriesPerInstance": 2, "retrySettings": {"maxPerInstanceRetries": 2}}
    assert wrong_pairs(TaskDefinition.model_validate(both | retries)) == ["resourceBuckets", "maxRetriesPerInstance"]
    assert wrong_group(FIRST, is_in_job=True, is_in_pool=True) == ["poolUuid", "profile"]


def test_a_pool_may_say_one_as_a_factor_only_while_it_is_not_elastic() -> None:
    def wrong(**given: object) -> list[str]:
        elastic = ElasticProperty.model_validate(given)
        return wrong_pool(
            merged(PoolDefinition(), PoolDefinition.model_construct(elastic_property=elastic), ["elastic_property"]),
            elastic,
        )

    assert wrong(rampResizeFactor=1, isElastic=False) == []
    assert wrong(rampResizeFactor=1) == wrong(minTotalSlots=-1) == ["elasticProperty"]
