"""How dates, durations and JSON keys are written on the wire (`reference/qarnot-platform.md` §0.3, §0.4)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from qarnot_local.runtime import clock

LONGEST_SECONDS = 2**31 - 1  # 68 years: dates much later cannot be counted with
NEVER = "0001-01-01T00:00:00Z"  # an end date before the end, §2.3: not null, C# needs a date

# The keys of requests that we read, in the spelling of answers. Others are left as they are, and ignored.
_KEYS = {
    key.casefold(): key
    for key in """
    name shortname profile poolUuid jobUuid projectUuid instanceCount advancedRanges constants key value forcedConstants
    constantName forcedValue forceExportInEnvironment access advancedResourceBuckets resourceBuckets bucketName
    filtering prefixFiltering prefix resourcesTransformation stripPrefix cacheTTLSec resultBucket resultsBucket
    resultsCacheTTLSec defaultResourcesCacheTTLSec tags labels snapshotWhitelist snapshotBlacklist resultsWhitelist
    resultsBlacklist dependencies dependsOn advancedDependsOn completionTimeToLive autoDeleteOnCompletion
    maxTimeQueueSeconds uploadResultsOnCancellation waitForPoolResourcesSynchronization retrySettings maxTotalRetries
    maxPerInstanceRetries maxRetriesPerInstance schedulingType targetedReservedMachineKey targetedReservationName
    privileges exportApiAndStorageCredentialsInEnvironment forcedNetworkRules secretsAccessRights bySecret byPrefix
    hardwareConstraints discriminator coreCount minimumMemoryMB maximumMemoryMB minimumMemoryGBCoreRatio
    maximumMemoryGBCoreRatio specificationKey cpuModel whitelist blacklist bucket bucketPrefix interval filter token
    maximumResults orderBy orderType operator field values filters select fields useDependencies maxWallTime state
    taskUuid taskFinalStateCondition resultsBucketPrefix snapshotBucket snapshotBucketPrefix elasticProperty isElastic
    minTotalSlots maxTotalSlots minIdleSlots resizePeriod rampResizeFactor minIdleTimeSeconds preparationTask
    commandLine taskDefaultWaitForPoolResourcesSynchronization defaultRetrySettings multiSlotsSettings slotsPerNode
    scaling policies type enabledPeriods slotsCount scalingFactor days startTimeUtc endTimeUtc
    inbound proto port to publicHost publicPort forwarder priority description toQBox toPayload applicationType
    """.split()
}
_BUCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{1,61}[A-Za-z0-9_]")
_FREE_KEYS = {"labels"}  # the user's own words inside: never respelt


def canonical(value: Any) -> Any:
    """A request's JSON with every known key in our spelling, whatever case the client used (§0.3)."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        spelt = _KEYS.get(key.casefold(), key)
        result[spelt] = item if spelt in _FREE_KEYS else canonical(item)
    return result


def is_bucket_name(name: str) -> bool:
    """By the rules of S3 (§4.3), with the capitals and underscores that older buckets have."""
    return _BUCKET.fullmatch(name) is not None


def now() -> datetime:
    """The cluster's own time."""
    return clock.current().now()


def date(moment: datetime | None) -> str:
    """Whole seconds and `Z`: the only form that every SDK parses (§0.4)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else NEVER


def duration(seconds: float) -> str:
    """`HH:MM:SS`, with a day part from 24 hours on (§0.4, §0.8)."""
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}.{clock}" if days else clock


def seconds(text: Any) -> float | None:
    """The seconds in `[d.]hh:mm:ss[.fraction]`, or None when the text is no duration; C#'s longest is just long."""
    found = re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?", text) if isinstance(text, str) else None
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return min(days * 86400 + hours * 3600 + minutes * 60 + rest, LONGEST_SECONDS)
