"""Checks of field values, as the vendor's OpenAPI document states them (`reference/qarnot-openapi.json`).

Every `wrong_*` function returns the names of the fields that the platform refuses with a 400 (`qarnot-platform.md`
§1.4). The types of the values have been checked before (`field_types`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from qarnot_local.api import definitions
from qarnot_local.runtime import hardware
from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.definition import constants_in
from qarnot_local.runtime.tasks import MAX_INSTANCES, ranges_of
from qarnot_local.wire import LONGEST_SECONDS, is_bucket_name, seconds

CONSTANT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,2048}")
LONGEST_VALUE = 2048  # characters of a constant's value
_LONGEST_TEXT = 2048  # names and filters are shorter
_LONGEST_TAG = 512
_MOST_TAGS = 10
_SHORTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_BUCKETS = ("resultBucket", "snapshotBucket")  # created when they are missing, so the name must be possible
_PROTOCOLS = {"tcp", "udp", "https"}  # the document names the first two, Qarnot's Go SDK also sends the third
_ACCESS = {"readonly", "readwrite"}
_Find = Callable[[str], Any]


def wrong_common(definition: dict[str, Any], find: _Find) -> list[str]:
    """Fields that tasks and pools share. `find` looks up a shortname that is in use."""
    labels = definition["labels"].values()
    checks = {
        "labels": all(isinstance(value, str) for value in labels),
        "completionTimeToLive": seconds(definition["completionTimeToLive"]) is not None,
        "schedulingType": definition["schedulingType"] in {"flex", "onDemand", "reserved"},
        "hardwareConstraints": all(hardware.is_known(each) for each in definition["hardwareConstraints"]),
        "advancedResourceBuckets": not any(
            _wrong_seconds(each, "cacheTTLSec") for each in definition["advancedResourceBuckets"]
        ),
        "forcedNetworkRules": all(map(_is_rule, definition["forcedNetworkRules"])),
    }
    wrong = wrong_names(definition, find) + wrong_tags(definition["tags"])
    wrong += _wrong_seconds(definition, "defaultResourcesCacheTTLSec")
    return wrong + [name for name, is_right in checks.items() if not is_right]


def wrong_task(definition: dict[str, Any], find: _Find) -> list[str]:
    """All fields of a task."""
    wrong = wrong_common(definition, find) + _wrong_range(definition)
    values = constants_in(definition)
    wrong += [name for name in definitions.FILTERS if not is_filter(definition[name], values)]
    wrong += [name for name in _BUCKETS if definition[name] and not is_bucket_name(definition[name])]
    wrong += _wrong_seconds(definition, "maxTimeQueueSeconds", "resultsCacheTTLSec")
    if definition["maxRetriesPerInstance"] < 0:
        wrong.append("maxRetriesPerInstance")
    return wrong + wrong_retries(definition, "retrySettings")


def wrong_job(definition: dict[str, Any], find: _Find) -> list[str]:
    """All fields of a job."""
    wrong = wrong_names(definition, find) + wrong_tags(definition["tags"])
    if definition["maxWallTime"] is not None and seconds(definition["maxWallTime"]) is None:
        wrong.append("maxWallTime")
    if seconds(definition["completionTimeToLive"]) is None:
        wrong.append("completionTimeToLive")
    return wrong


def wrong_retries(definition: dict[str, Any], name: str) -> list[str]:
    """Check that no limit is negative."""
    limits = (definition[name][limit] for limit in ("maxTotalRetries", "maxPerInstanceRetries"))
    return [name] if any((limit or 0) < 0 for limit in limits) else []


def wrong_names(definition: dict[str, Any], find: _Find) -> list[str]:
    """Name and shortname."""
    wrong = [] if 0 < len(definition["name"]) < _LONGEST_TEXT else ["name"]
    shortname = definition["shortname"]
    if shortname is None:
        return wrong
    if not _SHORTNAME.fullmatch(shortname):
        return [*wrong, "shortname"]
    return [*wrong, "shortname-uniqueness"] if find(shortname) else wrong


def wrong_tags(tags: list[str]) -> list[str]:
    """At most ten, each shorter than 512 characters."""
    return ["tags"] if len(tags) > _MOST_TAGS or any(len(tag) >= _LONGEST_TAG for tag in tags) else []


def wrong_forced_constants(given: list[dict[str, Any]], limit: int) -> list[str]:
    """The restrictions of constants apply, but the forced value may be null: it is unchanged then."""
    are_right = len(given) <= limit and all(
        CONSTANT_NAME.fullmatch(each.get("constantName") or "")
        and len(each.get("forcedValue") or "") <= LONGEST_VALUE
        and (each.get("access") or "readWrite").casefold() in _ACCESS
        for each in given
    )
    return [] if are_right else ["forcedConstants"]


def wrong_pairs(body: dict[str, Any]) -> list[str]:
    """Fields of a submission that must not be set together. In a clone, the second of each pair overrides the first."""
    wrong = []
    if body.get("resourceBuckets") and body.get("advancedResourceBuckets"):
        wrong.append("resourceBuckets")
    retries = body.get("retrySettings") or {}
    if body.get("maxRetriesPerInstance") and retries.get("maxPerInstanceRetries") is not None:
        wrong.append("maxRetriesPerInstance")
    return wrong


def wrong_group(given: dict[str, Any], *, is_in_job: bool, is_in_pool: bool) -> list[str]:
    """Fields that must not be set in a job or a pool: the task has those of the job or the pool."""
    wrong = ["poolUuid"] if is_in_job and given.get("poolUuid") else []
    return wrong + [name for name in ("profile", "hardwareConstraints") if is_in_pool and given.get(name)]


def is_filter(value: str, constants: Mapping[str, str]) -> bool:
    """Whether a regular expression can be used, after its `${CONSTANT}` were replaced."""
    try:
        return len(value) < _LONGEST_TEXT and re.compile(expand(value, constants)) is not None
    except (re.error, OverflowError, RecursionError):
        return False


def _wrong_seconds(definition: dict[str, Any], *names: str) -> list[str]:
    return [name for name in names if not 0 <= (definition[name] or 0) <= LONGEST_SECONDS]


def _wrong_range(definition: dict[str, Any]) -> list[str]:
    """One of `instanceCount` and `advancedRanges` is required; the latter wins, and the count is answered as 0."""
    if ranges := definition["advancedRanges"]:
        definition["instanceCount"] = 0
        count = len(ranges_of(ranges))
    else:
        count = definition["instanceCount"]
    return [] if 0 < count <= MAX_INSTANCES else ["range-length"]


def _is_rule(rule: dict[str, Any]) -> bool:
    return rule.get("inbound") is not None and (rule.get("proto") or "").casefold() in _PROTOCOLS
