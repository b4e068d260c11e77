"""From a submitted JSON object to a task or job: defaults, checks, refusals (`reference/qarnot-platform.md` §2.2)."""

from __future__ import annotations

import re
from typing import Any

from run_qarnot.cluster import manager as limits
from run_qarnot.cluster.api.errors import ApiError, invalid
from run_qarnot.cluster.api.world import World
from run_qarnot.cluster.commands import expand
from run_qarnot.cluster.jobs import ACTIVE, Job
from run_qarnot.cluster.profiles import PROFILES
from run_qarnot.cluster.tasks import Task
from run_qarnot.cluster.wire import seconds

_SHORTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_CONSTANT = re.compile(r"[A-Za-z0-9_.-]{1,2048}")
_CACHE_SECONDS = 7_776_000
_MAX_INSTANCES = 2048
_FILTERS = ("snapshotWhitelist", "snapshotBlacklist", "resultsWhitelist", "resultsBlacklist")

# What a task says of itself when its client said nothing. None where the platform answers null.
_TASK_DEFAULTS: dict[str, Any] = {
    "name": "",
    "shortname": None,
    "profile": None,
    "poolUuid": None,
    "jobUuid": None,
    "projectUuid": None,
    "instanceCount": 0,
    "advancedRanges": None,
    "constants": [],
    "forcedConstants": [],
    "tags": [],
    "labels": {},
    "resourceBuckets": [],
    "advancedResourceBuckets": [],
    "resultBucket": None,
    "resultsCacheTTLSec": _CACHE_SECONDS,
    "defaultResourcesCacheTTLSec": _CACHE_SECONDS,
    **dict.fromkeys(_FILTERS, ""),
    "dependencies": {"dependsOn": []},
    "completionTimeToLive": "00:00:00",
    "autoDeleteOnCompletion": False,
    "maxTimeQueueSeconds": None,
    "uploadResultsOnCancellation": False,
    "waitForPoolResourcesSynchronization": None,
    "retrySettings": {"maxTotalRetries": None, "maxPerInstanceRetries": None},
    "maxRetriesPerInstance": 0,
    "schedulingType": "flex",
    "targetedReservedMachineKey": None,
    "targetedReservationName": None,
    "privileges": {"exportApiAndStorageCredentialsInEnvironment": False},
    "forcedNetworkRules": [],
    "secretsAccessRights": {"bySecret": [], "byPrefix": []},
    "hardwareConstraints": [],
}
_JOB_DEFAULTS: dict[str, Any] = {
    "name": "",
    "shortname": None,
    "poolUuid": None,
    "tags": [],
    "useDependencies": False,
    "maxWallTime": None,
    "autoDeleteOnCompletion": False,
    "completionTimeToLive": "00:00:00",
}


def make_task(world: World, body: dict[str, Any]) -> Task:
    """Check a submission and make its task. Nothing is started here."""
    if world.manager.is_full():
        raise ApiError(403, "Maximum number of tasks reached")
    if len(world.manager.running()) >= limits.MAX_RUNNING_TASKS:
        raise ApiError(403, "Maximum number of running tasks reached")
    definition = _with_defaults(body, _TASK_DEFAULTS)
    definition["constants"] = constants_of(definition["constants"])
    definition["advancedResourceBuckets"] = _buckets(definition)
    definition["resourceBuckets"] = [bucket["bucketName"] for bucket in definition["advancedResourceBuckets"]]
    scheduling = str(definition["schedulingType"])
    definition["schedulingType"] = {"ondemand": "onDemand"}.get(scheduling.casefold(), scheduling.casefold())
    if wrong := _wrong_fields(world, definition):
        raise invalid(*wrong)
    _settle_job(world, definition)
    for bucket in definition["resourceBuckets"]:
        if not world.manager.storage.has_bucket(bucket):
            raise ApiError(404, f"No such bucket: {bucket}")
    return Task(definition)


def make_job(world: World, body: dict[str, Any]) -> Job:
    if len(world.manager.jobs) >= limits.MAX_JOBS:
        raise ApiError(403, "Maximum number of jobs reached")
    definition = _with_defaults(body, _JOB_DEFAULTS)
    wrong = [] if _is_text(definition["name"]) else ["name"]
    wrong += _wrong_shortname(definition, world.manager.jobs.find)
    if definition["maxWallTime"] is not None and seconds(definition["maxWallTime"]) is None:
        wrong.append("maxWallTime")
    if wrong:
        raise ApiError(400, f"Invalid job file. Invalid fields: {', '.join(wrong)}")
    if definition["poolUuid"]:
        raise ApiError(400, f"No such pool: {definition['poolUuid']}")
    return Job(definition)


def constants_of(given: Any) -> list[dict[str, str]]:
    """Constants with values as text: some arrive as JSON numbers, and are never answered as null (§2.2)."""
    if not isinstance(given, list):
        raise invalid("constants")
    constants = []
    for constant in given:
        key = constant.get("key") if isinstance(constant, dict) else None
        if not isinstance(key, str) or not _CONSTANT.fullmatch(key):
            raise invalid("constants")
        value = constant.get("value")
        text = value if isinstance(value, str) else "" if value is None else _plain(value)
        if len(text) > 2048:
            raise invalid("constants")
        constants.append({"key": key, "value": text})
    if len(constants) > 150:
        raise invalid("constants")
    return constants


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_defaults(body: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The fields we know, null counting as not given: what we answer must not be null (§0.5)."""
    definition = {**defaults, **{name: body[name] for name in defaults if body.get(name) is not None}}
    for name in ("retrySettings", "privileges", "secretsAccessRights"):
        if name in defaults and isinstance(definition[name], dict):
            given = {key: value for key, value in definition[name].items() if value is not None}
            definition[name] = {**defaults[name], **given}
    for name in ("poolUuid", "jobUuid", "shortname"):
        definition[name] = definition.get(name) or None  # "" and C#'s zero GUID mean none
        if definition[name] == "00000000-0000-0000-0000-000000000000":
            definition[name] = None
    return definition


def _buckets(definition: dict[str, Any]) -> list[dict[str, Any]]:
    given = definition["advancedResourceBuckets"] or [{"bucketName": name} for name in definition["resourceBuckets"]]
    if not isinstance(given, list) or len(given) > 100:
        raise invalid("resourceBuckets")
    if not all(isinstance(bucket, dict) and isinstance(bucket.get("bucketName"), str) for bucket in given):
        raise invalid("resourceBuckets")
    return [
        {
            "bucketName": bucket["bucketName"],
            "filtering": bucket.get("filtering") or {},
            "resourcesTransformation": bucket.get("resourcesTransformation") or {},
            "cacheTTLSec": bucket.get("cacheTTLSec") or _CACHE_SECONDS,
        }
        for bucket in given
    ]


def _wrong_fields(world: World, definition: dict[str, Any]) -> list[str]:
    wrong = [] if _is_text(definition["name"]) else ["name"]
    wrong += _wrong_shortname(definition, world.manager.tasks.find)
    if definition["profile"] not in PROFILES and not definition["poolUuid"]:
        wrong.append("profile")
    tags = definition["tags"]
    if not isinstance(tags, list) or len(tags) > 10 or not all(isinstance(tag, str) and len(tag) < 512 for tag in tags):
        wrong.append("tags")
    labels = definition["labels"]
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        wrong.append("labels")
    values = {constant["key"]: constant["value"] for constant in definition["constants"]}
    wrong += [name for name in _FILTERS if not _is_filter(definition[name], values)]
    if seconds(definition["completionTimeToLive"]) is None:
        wrong.append("completionTimeToLive")
    if definition["schedulingType"] not in {"flex", "onDemand", "reserved"}:
        wrong.append("schedulingType")
    return wrong + _wrong_range(definition)


def _wrong_range(definition: dict[str, Any]) -> list[str]:
    if ranges := definition["advancedRanges"]:
        definition["instanceCount"] = 0  # §2.2: the answer has 0 with ranges
        return [] if 0 < range_length(ranges) <= _MAX_INSTANCES else ["range-length"]
    count = definition["instanceCount"] = definition["instanceCount"] or 1
    is_count = isinstance(count, int) and not isinstance(count, bool)
    return [] if is_count and 0 < count <= _MAX_INSTANCES else ["range-length"]


def range_length(ranges: Any) -> int:
    """How many instances `0-2,4-5,17` names; 0 when it cannot be read."""
    total = 0
    for part in str(ranges).split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            return 0
        total += int(found[2] or found[1]) - int(found[1]) + 1
    return total


def _wrong_shortname(definition: dict[str, Any], find: Any) -> list[str]:
    shortname = definition["shortname"]
    if shortname is None:
        return []
    if not isinstance(shortname, str) or not _SHORTNAME.fullmatch(shortname):
        return ["shortname"]
    return ["shortname-uniqueness"] if find(shortname) else []


def _settle_job(world: World, definition: dict[str, Any]) -> None:
    """An unknown pool or job is a 400 here, not a 404; a job may be named by its short name."""
    if definition["poolUuid"]:
        raise ApiError(400, f"No such pool: {definition['poolUuid']}")
    if definition["jobUuid"]:
        job = world.manager.jobs.find(str(definition["jobUuid"]))
        if job is None or job.state != ACTIVE:
            raise ApiError(400, f"No such job: {definition['jobUuid']}")
        definition["jobUuid"] = job.uuid


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) < 2048


def _is_filter(value: Any, constants: dict[str, str]) -> bool:
    try:
        return isinstance(value, str) and len(value) < 2048 and re.compile(expand(value, constants)) is not None
    except re.error:
        return False
