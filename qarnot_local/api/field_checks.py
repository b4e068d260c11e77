"""Checks of field values, as the vendor's OpenAPI document states them (`reference/qarnot-openapi.json`).

Every `wrong_*` function returns the names of the fields that the platform refuses with a 400 (`qarnot-platform.md`
§1.4). The models of the definitions have checked the types of the values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from qarnot_local.runtime import hardware
from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.definition import (
    Constant,
    Definition,
    ForcedConstant,
    GivenRule,
    JobDefinition,
    RetrySettings,
    TaskDefinition,
)
from qarnot_local.runtime.tasks import MAX_INSTANCES, ranges_of
from qarnot_local.wire import LONGEST_SECONDS, is_bucket_name, seconds

FILTERS = {
    f"{kind}_{colour}list": f"{kind}{colour.capitalize()}list"
    for kind in ("snapshot", "results")
    for colour in ("white", "black")
}
CONSTANT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,2048}")
LONGEST_VALUE = 2048  # characters of a constant's value
_LONGEST_TEXT = 2048  # names and filters are shorter
_LONGEST_TAG = 512
_MOST_TAGS = 10
_SHORTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_PROTOCOLS = {"tcp", "udp", "https"}  # the document names the first two, Qarnot's Go SDK also sends the third
_ACCESS = {"readonly", "readwrite"}
_Find = Callable[[str], object]


def wrong_common(definition: Definition, find: _Find) -> list[str]:
    """Fields that tasks and pools share. `find` looks up a shortname that is in use."""
    checks = {
        "labels": all(isinstance(value, str) for value in definition.labels.values()),
        "completionTimeToLive": seconds(definition.completion_time_to_live) is not None,
        "schedulingType": definition.scheduling_type in {"flex", "onDemand", "reserved"},
        "hardwareConstraints": all(hardware.is_known(each) for each in definition.hardware_constraints),
        "advancedResourceBuckets": all(_is_time(each.cache_ttl_sec) for each in definition.advanced_resource_buckets),
        "forcedNetworkRules": all(map(_is_rule, definition.forced_network_rules)),
        "defaultResourcesCacheTTLSec": _is_time(definition.default_resources_cache_ttl_sec),
    }
    return wrong_names(definition, find) + wrong_tags(definition.tags) + _failed(checks)


def wrong_task(definition: TaskDefinition, find: _Find) -> list[str]:
    """All fields of a task."""
    values, filters = definition.constant_values, FILTERS
    checks = {name: is_filter(getattr(definition, attribute), values) for attribute, name in filters.items()}
    checks |= {
        # Created when they are missing, so the name must be possible.
        "resultBucket": not definition.result_bucket or is_bucket_name(definition.result_bucket),
        "snapshotBucket": not definition.snapshot_bucket or is_bucket_name(definition.snapshot_bucket),
        "maxTimeQueueSeconds": _is_time(definition.max_time_queue_seconds or 0),
        "resultsCacheTTLSec": _is_time(definition.results_cache_ttl_sec),
        "maxRetriesPerInstance": definition.max_retries_per_instance >= 0,
        "retrySettings": are_retries(definition.retry_settings),
    }
    return wrong_common(definition, find) + _wrong_range(definition) + _failed(checks)


def wrong_job(definition: JobDefinition, find: _Find) -> list[str]:
    """All fields of a job."""
    wall_time = definition.max_wall_time
    checks = {
        "maxWallTime": wall_time is None or seconds(wall_time) is not None,
        "completionTimeToLive": seconds(definition.completion_time_to_live) is not None,
    }
    return wrong_names(definition, find) + wrong_tags(definition.tags) + _failed(checks)


def _failed(checks: Mapping[str, bool]) -> list[str]:
    return [name for name, is_right in checks.items() if not is_right]


def are_retries(settings: RetrySettings) -> bool:
    """Check that no limit is negative."""
    return all((limit or 0) >= 0 for limit in (settings.max_total_retries, settings.max_per_instance_retries))


def wrong_names(definition: Definition | JobDefinition, find: _Find) -> list[str]:
    """Name and shortname."""
    wrong = [] if 0 < len(definition.name) < _LONGEST_TEXT else ["name"]
    shortname = definition.shortname
    if shortname is None:
        return wrong
    if not _SHORTNAME.fullmatch(shortname):
        return [*wrong, "shortname"]
    return [*wrong, "shortname-uniqueness"] if find(shortname) else wrong


def wrong_tags(tags: list[str]) -> list[str]:
    """At most ten, each shorter than 512 characters."""
    return ["tags"] if len(tags) > _MOST_TAGS or any(len(tag) >= _LONGEST_TAG for tag in tags) else []


def wrong_constants(given: list[Constant], limit: int) -> list[str]:
    """Neither key nor value may be null."""
    are_right = len(given) <= limit and all(
        CONSTANT_NAME.fullmatch(each.key) and each.value is not None and len(each.value) <= LONGEST_VALUE
        for each in given
    )
    return [] if are_right else ["constants"]


def wrong_forced_constants(given: list[ForcedConstant], limit: int) -> list[str]:
    """The restrictions of constants apply, but the forced value may be null: it is unchanged then."""
    are_right = len(given) <= limit and all(
        CONSTANT_NAME.fullmatch(each.constant_name or "")
        and len(each.forced_value or "") <= LONGEST_VALUE
        and (each.access or "readWrite").casefold() in _ACCESS
        for each in given
    )
    return [] if are_right else ["forcedConstants"]


def wrong_pairs(definition: Definition) -> list[str]:
    """Fields of a submission that must not be set together. In a clone, the second of each pair overrides the first."""
    checks = {"resourceBuckets": not (definition.resource_buckets and definition.advanced_resource_buckets)}
    if isinstance(definition, TaskDefinition):
        limit = definition.retry_settings.max_per_instance_retries
        checks["maxRetriesPerInstance"] = not definition.max_retries_per_instance or limit is None
    return _failed(checks)


def wrong_group(given: TaskDefinition, *, is_in_job: bool, is_in_pool: bool) -> list[str]:
    """Fields that must not be set in a job or a pool: the task has those of the job or the pool."""
    checks = {
        "poolUuid": not (is_in_job and given.pool_uuid),
        "profile": not (is_in_pool and given.profile),
        "hardwareConstraints": not (is_in_pool and given.hardware_constraints),
    }
    return _failed(checks)


def is_filter(value: str, constants: Mapping[str, str]) -> bool:
    """Whether a regular expression can be used, after its `${CONSTANT}` were replaced."""
    try:
        return len(value) < _LONGEST_TEXT and re.compile(expand(value, constants)) is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _is_time(value: int) -> bool:
    return 0 <= value <= LONGEST_SECONDS


def _wrong_range(definition: TaskDefinition) -> list[str]:
    """One of `instanceCount` and `advancedRanges` is required; the latter wins, and the count is answered as 0."""
    if definition.advanced_ranges:
        definition.instance_count = 0
        count = len(ranges_of(definition.advanced_ranges))
    else:
        count = definition.instance_count
    return [] if 0 < count <= MAX_INSTANCES else ["range-length"]


def _is_rule(rule: GivenRule) -> bool:
    return rule.inbound is not None and (rule.proto or "").casefold() in _PROTOCOLS
