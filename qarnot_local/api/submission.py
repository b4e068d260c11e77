"""From a submitted JSON object to a task, job or pool: checks, refusals (`reference/qarnot-platform.md` §2.2)."""

from __future__ import annotations

from typing import Any

from qarnot_local.api import definitions, field_checks
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, invalid
from qarnot_local.api.field_checks import CONSTANT_NAME, LONGEST_VALUE
from qarnot_local.api.field_types import check_fields
from qarnot_local.api.pool_checks import check_policies, wrong_pool
from qarnot_local.runtime import hardware
from qarnot_local.runtime.definition import resources_in
from qarnot_local.runtime.jobs import ACTIVE, Job
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.tasks import Task

TASK_CONSTANTS, POOL_CONSTANTS = 150, 50


def make_task(world: Context, body: dict[str, Any], replaced: dict[str, Any] | None = None) -> Task:
    """Check a submission and make its task. Nothing is started here.

    Arguments:
        body: the submission, with its keys respelt.
        replaced: for a clone, the fields that its request gives; those of the first task are not checked against the
            rules for pools and jobs, because a task has by then what its pool or job gave it.
    """
    _check_account(world)
    definition = _common(body, definitions.TASK)
    names = definition if replaced is None else [name for name, value in replaced.items() if value is not None]
    given = {name: definition[name] for name in names if name in definition}
    pool = _settle_group(world, definition)
    wrong = field_checks.wrong_group(given, is_in_job=bool(definition["jobUuid"]), is_in_pool=pool is not None)
    wrong += field_checks.wrong_pairs(body) if replaced is None else []
    if pool:
        definition["profile"] = definition["profile"] or pool.definition["profile"]
    wrong += field_checks.wrong_task(definition, world.manager.tasks.find)
    if wrong:
        raise invalid(*wrong)
    if definition["profile"] not in PROFILES:
        raise invalid("profile")
    _check_dependencies(world, definition)
    _check_things(world, definition)
    return Task(definition)


def make_pool(world: Context, body: dict[str, Any], *, is_clone: bool = False) -> Pool:
    """Check a submission and make its pool."""
    manager = world.manager
    if len(manager.pools) >= manager.quotas.pools:
        raise ApiError(403, "Maximum number of pools reached")
    definition = _common(body, definitions.POOL)
    check_policies(definition["scaling"])
    wrong = [] if is_clone else field_checks.wrong_pairs(body)
    wrong += field_checks.wrong_common(definition, manager.pools.find) + wrong_pool(definition, body)
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
    if wrong := field_checks.wrong_forced_constants(definition["forcedConstants"], limit):
        raise invalid(*wrong)
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
    wrong = field_checks.wrong_job(definition, world.manager.jobs.find)
    if wrong:
        raise ApiError(400, f"Invalid job file. Invalid fields: {', '.join(wrong)}")
    if definition["poolUuid"]:
        definition["poolUuid"] = _open_pool(world, definition["poolUuid"]).uuid
    return Job(definition)


def _constants_of(given: list[dict[str, Any]], limit: int) -> list[dict[str, str]]:
    """Return constants with values as text: some arrive as JSON numbers (§2.2). Neither key nor value may be null."""
    found = []
    for constant in given:
        key, value = constant.get("key") or "", constant.get("value")
        if not CONSTANT_NAME.fullmatch(key) or value is None or isinstance(value, dict | list):
            raise invalid("constants")
        text = value if isinstance(value, str) else _plain(value)
        if len(text) > LONGEST_VALUE:
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
    wrong = field_checks.wrong_tags(tags) + ([] if len(constants) <= limit else ["constants"])
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
