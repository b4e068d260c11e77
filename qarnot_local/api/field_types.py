"""What each field of a submission is, for the reader of JSON: the platform refuses another type with a 400 (§1.4).

Nothing of a wrong type may be kept: it would break every later look at the list that it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from qarnot_local.api.errors import MalformedError

Kind: TypeAlias = "type[Any] | list[Kind] | dict[str, Kind]"  # a type of JSON, a list of one kind, an object's fields

_PREFIX: Kind = {"prefix": str}
_RETRY: Kind = {"maxTotalRetries": int, "maxPerInstanceRetries": int}
_SLOTS: dict[str, Kind] = dict.fromkeys(("minTotalSlots", "maxTotalSlots", "minIdleSlots", "minIdleTimeSeconds"), int)
_PERIOD: Kind = {"type": str, "name": str, "days": [str], "startTimeUtc": str, "endTimeUtc": str}
_POLICY: Kind = {
    **_SLOTS,
    "type": str,
    "name": str,
    "enabledPeriods": [_PERIOD],
    "slotsCount": int,
    "scalingFactor": float,
}
_HARDWARE: Kind = {
    **dict.fromkeys(("discriminator", "specificationKey", "cpuModel"), str),
    "coreCount": int,
    **dict.fromkeys(("minimumMemoryMB", "maximumMemoryMB"), float),
    **dict.fromkeys(("minimumMemoryGBCoreRatio", "maximumMemoryGBCoreRatio"), float),
}
_RULE: Kind = {
    **dict.fromkeys("proto port to publicHost publicPort forwarder priority description".split(), str),
    **dict.fromkeys(("name", "applicationType"), str),  # only in the SDKs
    **dict.fromkeys(("inbound", "toQBox", "toPayload"), bool),
}
_FORCED: Kind = {"constantName": str, "forcedValue": str, "forceExportInEnvironment": bool, "access": str}
_BUCKET: Kind = {
    "bucketName": str,
    "filtering": {"prefixFiltering": _PREFIX},
    "resourcesTransformation": {"stripPrefix": _PREFIX},
    "cacheTTLSec": int,
}
# Of tasks, jobs, pools and snapshots: a name means the same in all. `dict` is an object whose fields nobody reads.
KINDS: dict[str, Kind] = {
    **dict.fromkeys("name shortname profile poolUuid jobUuid projectUuid advancedRanges".split(), str),
    **dict.fromkeys("resultBucket resultsBucket resultsBucketPrefix snapshotBucket snapshotBucketPrefix".split(), str),
    **dict.fromkeys("snapshotWhitelist snapshotBlacklist resultsWhitelist resultsBlacklist".split(), str),
    **dict.fromkeys("schedulingType targetedReservedMachineKey targetedReservationName".split(), str),
    **dict.fromkeys("completionTimeToLive maxWallTime".split(), str),
    **dict.fromkeys("instanceCount maxTimeQueueSeconds maxRetriesPerInstance".split(), int),
    **dict.fromkeys("resultsCacheTTLSec defaultResourcesCacheTTLSec".split(), int),
    **dict.fromkeys("autoDeleteOnCompletion uploadResultsOnCancellation useDependencies".split(), bool),
    "waitForPoolResourcesSynchronization": bool,
    "taskDefaultWaitForPoolResourcesSynchronization": bool,
    **dict.fromkeys("whitelist blacklist bucket bucketPrefix".split(), str),  # of snapshots
    "interval": int,
    "tags": [str],
    "labels": dict,
    "constants": [{"key": str}],  # values may be numbers (§2.2)
    "forcedConstants": [_FORCED],
    "forcedNetworkRules": [_RULE],
    "resourceBuckets": [str],
    "advancedResourceBuckets": [_BUCKET],
    "privileges": {"exportApiAndStorageCredentialsInEnvironment": bool},
    "secretsAccessRights": {"bySecret": [{"key": str}], "byPrefix": [_PREFIX]},
    "hardwareConstraints": [_HARDWARE],
    "dependencies": {"dependsOn": [str], "advancedDependsOn": [{"taskUuid": str, "taskFinalStateCondition": [str]}]},
    "retrySettings": _RETRY,
    "defaultRetrySettings": _RETRY,
    "preparationTask": {"commandLine": str},
    "multiSlotsSettings": {"slotsPerNode": int},
    "elasticProperty": {**_SLOTS, "isElastic": bool, "resizePeriod": int, "rampResizeFactor": float},
    "scaling": {"policies": [_POLICY]},
}


def check_fields(body: Any, names: Iterable[str], where: str = "$") -> None:
    """Refuse a body that is no object, or in which one of these fields is of another kind than it should be."""
    check(body, {name: KINDS[name] for name in names}, where)


def check(value: Any, kind: Kind, where: str) -> None:
    """Raise MalformedError for the first value of another kind. A field that is null counts as not given."""
    expected = kind if isinstance(kind, type) else type(kind)
    # Not isinstance: to Python, true is an int.
    if type(value) not in {expected, int if expected is float else expected}:
        raise MalformedError(where, f"The JSON value could not be converted to {expected.__name__}.")
    if isinstance(kind, list):
        for number, item in enumerate(value):
            check(item, kind[0], f"{where}[{number}]")
    elif isinstance(kind, dict):
        for name, inner in kind.items():
            if value.get(name) is not None:
                check(value[name], inner, name if where == "$" else f"{where}.{name}")
