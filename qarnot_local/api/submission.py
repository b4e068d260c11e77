"""From a submitted JSON object to a task, job or pool: checks, refusals (`reference/qarnot-platform.md` §2.2)."""

from __future__ import annotations

import re
from typing import Any

from qarnot_local.api import definitions
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, invalid
from qarnot_local.api.field_types import check_fields
from qarnot_local.api.pool_checks import check_policies, wrong_sizes
from qarnot_local.runtime import hardware
from qarnot_local.runtime.commands import expand
from qarnot_local.runtime.definition import constants_in, resources_in
from qarnot_local.runtime.jobs import ACTIVE, Job
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.tasks import MAX_INSTANCES, Task, ranges_of
from qarnot_local.wire import LONGEST_SECONDS, is_bucket_name, seconds

TASK_CONSTANTS, POOL_CONSTANTS = 150, 50
_BUCKETS = ("resultBucket", "snapshotBucket")  # made when they are missing, so their names must be possible
_SHORTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")
_CONSTANT = re.compile(r"[A-Za-z0-9_.-]{1,2048}")


def make_task(world: Context, body: dict[str, Any]) -> Task:
    """Check a submission and make its task. Nothing is started here."""
    _check_account(world)
    definition = _common(body, definitions.TASK)
    pool = _settle_group(world, definition)
    if pool:
        definition["profile"] = definition["profile"] or pool.definition["profile"]
    wrong = _wrong_fields(definition, world.manager.tasks.find) + _wrong_range(definition)
    wrong += _wrong_task_fields(definition)
    if wrong:
        raise invalid(*wrong)
    if definition["profile"] not in PROFILES:
        raise invalid("profile")
    _check_dependencies(world, definition)
    _check_things(world, definition)
    return Task(definition)


def make_pool(world: Context, body: dict[str, Any]) -> Pool:
    manager = world.manager
    if len(manager.pools) >= manager.quotas.pools:
        raise ApiError(403, "Maximum number of pools reached")
    definition = _common(body, definitions.POOL)
    definition["instanceCount"] = definition["instanceCount"] or 0
    check_policies(definition["scaling"])
    wrong = _wrong_fields(definition, manager.pools.find) + wrong_sizes(definition)
    if definition["profile"] not in PROFILES:
        wrong.append("profile")
    if wrong:
        raise ApiError(400, f"Invalid pool file. Invalid fields: {', '.join(wrong)}")
    _check_things(world, definition)
    return Pool(definition)


def _check_account(world: Context) -> None:
    manager = world.manager
    if world.credits_left() <= 0:
        raise ApiError(402, "Not enough credits")
    if manager.is_full():
        raise ApiError(403, "Maximum number of tasks reached")
    if len(manager.running()) >= manager.quotas.running_tasks:
        raise ApiError(403, "Maximum number of running tasks reached")


def _common(body: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What tasks and pools share, put into the form of the answers."""
    definition = definitions.with_defaults(definitions.respelt(body), defaults)
    limit = TASK_CONSTANTS if defaults is definitions.TASK else POOL_CONSTANTS
    definition["constants"] = _constants_of(definition["constants"], limit)
    if not all(_CONSTANT.fullmatch(each.get("constantName") or "") for each in definition["forcedConstants"]):
        raise invalid("forcedConstants")
    definition["advancedResourceBuckets"] = _buckets(definition["advancedResourceBuckets"])
    if definition["advancedResourceBuckets"]:
        definition["resourceBuckets"] = []  # a definition has one of the two, the SDK would put both together (§2.3)
    if len(resources_in(definition)) > 100:
        raise invalid("resourceBuckets")
    scheduling = definition["schedulingType"].casefold()
    definition["schedulingType"] = {"ondemand": "onDemand"}.get(scheduling, scheduling)
    return definition


def _check_things(world: Context, definition: dict[str, Any]) -> None:
    """The other things that a task or a pool names must be there."""
    for bucket in (each["bucketName"] for each in resources_in(definition)):
        if not world.manager.storage.has_bucket(bucket):
            raise ApiError(404, f"No such bucket: {bucket}")
    project = definition["projectUuid"]
    if project and project not in world.projects:
        raise ApiError(400, f"No such project: {project}")
    for right in definition["secretsAccessRights"]["bySecret"]:
        if not world.secrets.has(str(right.get("key"))):
            raise ApiError(404, f"No such secret: {right.get('key')}")
    for constraint in definition["hardwareConstraints"]:
        if reason := hardware.refusal(constraint):
            raise ApiError(402, f"Not available with this hardware constraint: {reason}")


def _check_dependencies(world: Context, definition: dict[str, Any]) -> None:
    given = definition["dependencies"]
    named = list(given.get("dependsOn") or [])
    named += [str(each.get("taskUuid")) for each in given.get("advancedDependsOn") or []]
    if not named:
        definition["dependencies"] = {"dependsOn": []}
        return
    job = world.manager.jobs.find(definition["jobUuid"] or "")
    if job is None or not job.definition["useDependencies"]:
        raise invalid("dependencies")
    if any(world.manager.tasks.find(uuid) is None for uuid in named):
        raise invalid("dependencies")


def make_job(world: Context, body: dict[str, Any]) -> Job:
    if world.manager.has_all_jobs():
        raise ApiError(403, "Maximum number of jobs reached")
    definition = definitions.with_defaults(body, definitions.JOB)
    wrong = [] if 0 < len(definition["name"]) < 2048 else ["name"]
    wrong += _wrong_shortname(definition, world.manager.jobs.find)
    if definition["maxWallTime"] is not None and seconds(definition["maxWallTime"]) is None:
        wrong.append("maxWallTime")
    if seconds(definition["completionTimeToLive"]) is None:
        wrong.append("completionTimeToLive")
    if wrong:
        raise ApiError(400, f"Invalid job file. Invalid fields: {', '.join(wrong)}")
    if definition["poolUuid"]:
        definition["poolUuid"] = _open_pool(world, definition["poolUuid"]).uuid
    return Job(definition)


def _constants_of(given: list[dict[str, Any]], limit: int) -> list[dict[str, str]]:
    """Constants with values as text: some arrive as JSON numbers, and are never answered as null (§2.2)."""
    found = []
    for constant in given:
        key, value = constant.get("key") or "", constant.get("value")
        if not _CONSTANT.fullmatch(key) or isinstance(value, dict | list):
            raise invalid("constants")
        text = value if isinstance(value, str) else "" if value is None else _plain(value)
        if len(text) > 2048:
            raise invalid("constants")
        found.append({"key": key, "value": text})
    if len(found) > limit:
        raise invalid("constants")
    return found


def change(definition: dict[str, Any], body: dict[str, Any], limit: int) -> None:
    """Take constants and tags from an update, as strict as at submission; all of it or, with an error, nothing."""
    check_fields(body, ("constants", "tags"))
    constants = definition["constants"]
    if body.get("constants") is not None:
        constants = _merged(constants, _constants_of(body["constants"], limit))
    tags = definition["tags"] if body.get("tags") is None else body["tags"]
    wrong = _wrong_tags(tags) + ([] if len(constants) <= limit else ["constants"])
    if wrong:
        raise invalid(*wrong)
    definition |= {"constants": constants, "tags": tags}


def _merged(own: list[dict[str, str]], given: list[dict[str, str]]) -> list[dict[str, str]]:
    """New and changed constants are taken, none is removed (§6.19), hidden ones stay as they are."""
    fresh = {each["key"]: each for each in given if each["value"] != "[SECRET]"}
    return list(({each["key"]: each for each in own} | fresh).values())


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _buckets(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if any(bucket.get("bucketName") is None for bucket in given):
        raise invalid("resourceBuckets")
    return [
        {
            "bucketName": bucket["bucketName"],
            "filtering": bucket.get("filtering") or {},
            "resourcesTransformation": bucket.get("resourcesTransformation") or {},
            "cacheTTLSec": bucket.get("cacheTTLSec") or definitions.CACHE_SECONDS,
        }
        for bucket in given
    ]


def _wrong_fields(definition: dict[str, Any], find: Any) -> list[str]:
    """Of tasks and pools."""
    wrong = [] if 0 < len(definition["name"]) < 2048 else ["name"]
    wrong += _wrong_shortname(definition, find)
    wrong += _wrong_tags(definition["tags"])
    labels = definition["labels"]
    if not all(isinstance(value, str) for value in labels.values()):
        wrong.append("labels")
    if seconds(definition["completionTimeToLive"]) is None:
        wrong.append("completionTimeToLive")
    if definition["schedulingType"] not in {"flex", "onDemand", "reserved"}:
        wrong.append("schedulingType")
    return wrong


def _wrong_tags(tags: list[str]) -> list[str]:
    return ["tags"] if len(tags) > 10 or any(len(tag) >= 512 for tag in tags) else []


def _wrong_task_fields(definition: dict[str, Any]) -> list[str]:
    values = constants_in(definition)
    wrong = [name for name in definitions.FILTERS if not _is_filter(definition[name], values)]
    wrong += [name for name in _BUCKETS if definition[name] and not is_bucket_name(definition[name])]
    limit = definition["maxTimeQueueSeconds"]
    if limit is not None and not 0 <= limit <= LONGEST_SECONDS:
        wrong.append("maxTimeQueueSeconds")
    retries = definition["retrySettings"]
    if any((retries[name] or 0) < 0 for name in definitions.TASK["retrySettings"]):
        wrong.append("retrySettings")
    return wrong


def _wrong_range(definition: dict[str, Any]) -> list[str]:
    if ranges := definition["advancedRanges"]:
        definition["instanceCount"] = 0  # §2.2: the answer has 0 with ranges
        return [] if 0 < len(ranges_of(ranges)) <= MAX_INSTANCES else ["range-length"]
    count = definition["instanceCount"] = definition["instanceCount"] or 1
    return [] if 0 < count <= MAX_INSTANCES else ["range-length"]


def _wrong_shortname(definition: dict[str, Any], find: Any) -> list[str]:
    shortname = definition["shortname"]
    if shortname is None:
        return []
    if not _SHORTNAME.fullmatch(shortname):
        return ["shortname"]
    return ["shortname-uniqueness"] if find(shortname) else []


def _settle_group(world: Context, definition: dict[str, Any]) -> Pool | None:
    """An unknown pool or job is a 400 here, not a 404; both may be named by their short names (§1.4)."""
    if definition["jobUuid"]:
        job = world.manager.jobs.find(definition["jobUuid"])
        if job is None or job.state != ACTIVE:
            raise ApiError(400, f"No such job: {definition['jobUuid']}")
        definition["jobUuid"] = job.uuid
        definition["poolUuid"] = definition["poolUuid"] or job.definition["poolUuid"]
    if not definition["poolUuid"]:
        return None
    pool = _open_pool(world, definition["poolUuid"])
    definition["poolUuid"] = pool.uuid
    return pool


def _open_pool(world: Context, name: str) -> Pool:
    pool = world.manager.pools.find(name)
    if pool is None or not pool.is_open:
        raise ApiError(400, f"No such pool: {name}")
    return pool


def _is_filter(value: str, constants: dict[str, str]) -> bool:
    try:
        return len(value) < 2048 and re.compile(expand(value, constants)) is not None
    except re.error:
        return False
