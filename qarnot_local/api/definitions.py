"""What a task, a job and a pool say of themselves when their client said nothing (`qarnot-platform.md` §2.2, §2bis)."""

from __future__ import annotations

from typing import Any

from qarnot_local.api.field_types import check_fields

CACHE_SECONDS = 7_776_000
FILTERS = ("snapshotWhitelist", "snapshotBlacklist", "resultsWhitelist", "resultsBlacklist")
NO_GUID = "00000000-0000-0000-0000-000000000000"

# Of tasks and pools. None where the platform answers null.
_COMMON: dict[str, Any] = {
    "name": "",
    "shortname": None,
    "profile": None,
    "instanceCount": 0,
    "constants": [],
    "forcedConstants": [],
    "tags": [],
    "labels": {},
    "resourceBuckets": [],
    "advancedResourceBuckets": [],
    "defaultResourcesCacheTTLSec": CACHE_SECONDS,
    "completionTimeToLive": "00:00:00",
    "autoDeleteOnCompletion": False,
    "schedulingType": "flex",
    "targetedReservedMachineKey": None,
    "targetedReservationName": None,
    "privileges": {"exportApiAndStorageCredentialsInEnvironment": False},
    "forcedNetworkRules": [],
    "secretsAccessRights": {"bySecret": [], "byPrefix": []},
    "hardwareConstraints": [],
    "projectUuid": None,
}
TASK: dict[str, Any] = {
    **_COMMON,
    "poolUuid": None,
    "jobUuid": None,
    "advancedRanges": None,
    "resultBucket": None,
    "resultsBucketPrefix": None,
    "snapshotBucket": None,
    "snapshotBucketPrefix": None,
    "resultsCacheTTLSec": CACHE_SECONDS,
    **dict.fromkeys(FILTERS, ""),
    "dependencies": {"dependsOn": []},
    "maxTimeQueueSeconds": None,
    "uploadResultsOnCancellation": False,
    "waitForPoolResourcesSynchronization": None,
    "retrySettings": {"maxTotalRetries": None, "maxPerInstanceRetries": None},
    "maxRetriesPerInstance": 0,
}
JOB: dict[str, Any] = {
    "name": "",
    "shortname": None,
    "poolUuid": None,
    "tags": [],
    "useDependencies": False,
    "maxWallTime": None,
    "autoDeleteOnCompletion": False,
    "completionTimeToLive": "00:00:00",
}
POOL: dict[str, Any] = {
    **_COMMON,
    "elasticProperty": {
        "isElastic": False,
        "minTotalSlots": 0,
        "maxTotalSlots": 0,
        "minIdleSlots": 0,
        "resizePeriod": 90,
        "rampResizeFactor": 0.4,
        "minIdleTimeSeconds": 90,
    },
    "scaling": {"policies": []},
    "preparationTask": None,
    "taskDefaultWaitForPoolResourcesSynchronization": None,
    "defaultRetrySettings": {"maxTotalRetries": None, "maxPerInstanceRetries": None},
    "multiSlotsSettings": {"slotsPerNode": 1},
}
_MERGED = """retrySettings defaultRetrySettings privileges secretsAccessRights elasticProperty
multiSlotsSettings""".split()


def overridden(definition: dict[str, Any], body: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What to submit for a clone: all of the first one, with the fields that the request gives in their place."""
    given = {name: each for name, each in respelt(body).items() if each not in (None, NO_GUID) and name in defaults}
    base = {**definition, "shortname": None}
    if "poolUuid" in given:
        base["profile"] = None  # the one before may be that of its pool
    if "jobUuid" in given:
        base["poolUuid"] = None
    if "resourceBuckets" in given:
        base["advancedResourceBuckets"] = []
    if "instanceCount" in given:
        base["advancedRanges"] = None
    return base | given


def respelt(body: dict[str, Any]) -> dict[str, Any]:
    """The vendor's document has two names for the bucket of the results."""
    return {**body, "resultBucket": body.get("resultBucket") or body.get("resultsBucket")}


def with_defaults(body: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The fields we know, null counting as not given: what we answer must not be null (§0.5)."""
    check_fields(body, defaults)
    definition = {**defaults, **{name: body[name] for name in defaults if body.get(name) is not None}}
    for name in _MERGED:
        if isinstance(definition.get(name), dict):
            given = {key: value for key, value in definition[name].items() if value is not None}
            definition[name] = {**defaults[name], **given}
    for name in ("poolUuid", "jobUuid", "shortname", "projectUuid"):
        if definition.get(name) in {"", NO_GUID}:  # C# says "none" so
            definition[name] = None
    return definition
