"""Checks a submission and makes its task, job or pool (`reference/qarnot-platform.md` §2.2)."""

from __future__ import annotations

from qarnot_local.api import field_checks
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, invalid
from qarnot_local.api.pool_checks import check_policies, wrong_pool
from qarnot_local.runtime import hardware
from qarnot_local.runtime.definition import (
    Constant,
    Definition,
    Dependencies,
    JobDefinition,
    PoolDefinition,
    TaskDefinition,
    Update,
)
from qarnot_local.runtime.jobs import ACTIVE, Job
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.profiles import PROFILES
from qarnot_local.runtime.tasks import Task

TASK_CONSTANTS, POOL_CONSTANTS = 150, 50
_MOST_BUCKETS = 100


def make_task(world: Context, definition: TaskDefinition, replaced: TaskDefinition | None = None) -> Task:
    """Check a submission and make its task. Nothing is started here.

    Arguments:
        definition: the submission; it becomes the task's own.
        replaced: for a clone, what its request gives; the values of the first task are not checked against the rules
            for pools and jobs, because a task has by then what its pool or job gave it.
    """
    _check_account(world)
    given = (definition if replaced is None else replaced).model_copy()
    wrong = field_checks.wrong_pairs(definition) if replaced is None else []
    _settle(definition, TASK_CONSTANTS)
    pool = _settle_group(world, definition)
    wrong += field_checks.wrong_group(given, is_in_job=bool(definition.job_uuid), is_in_pool=pool is not None)
    if pool:
        definition.profile = definition.profile or pool.definition.profile
    wrong += field_checks.wrong_task(definition, world.manager.tasks.find)
    if wrong:
        raise invalid(*wrong)
    if definition.profile not in PROFILES:
        raise invalid("profile")
    _check_dependencies(world, definition)
    _check_things(world, definition)
    return Task(definition)


def make_pool(world: Context, definition: PoolDefinition, *, is_clone: bool = False) -> Pool:
    """Check a submission and make its pool."""
    manager = world.manager
    if len(manager.pools) >= manager.quotas.pools:
        raise ApiError(403, "Maximum number of pools reached")
    wrong = [] if is_clone else field_checks.wrong_pairs(definition)
    _settle(definition, POOL_CONSTANTS)
    check_policies(definition.scaling)
    wrong += field_checks.wrong_common(definition, manager.pools.find)
    wrong += wrong_pool(definition, definition.elastic_property)
    if definition.profile not in PROFILES:
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


def _settle(definition: Definition, limit: int) -> None:
    """Check what tasks and pools share, and put it into the form of the answers; `limit` is of the constants."""
    wrong = field_checks.wrong_constants(definition.constants, limit)
    wrong += field_checks.wrong_forced_constants(definition.forced_constants, limit)
    if any(not bucket.bucket_name for bucket in definition.advanced_resource_buckets):
        wrong.append("resourceBuckets")
    if definition.advanced_resource_buckets:
        definition.resource_buckets = []  # a definition has one of the two, the SDK would put both together (§2.3)
    if len(definition.buckets) > _MOST_BUCKETS:
        wrong.append("resourceBuckets")
    if wrong:
        raise invalid(*wrong)
    scheduling = definition.scheduling_type.casefold()
    definition.scheduling_type = {"ondemand": "onDemand"}.get(scheduling, scheduling)


def _check_things(world: Context, definition: Definition) -> None:
    """The other things that a task or a pool names must be there."""
    for bucket in definition.buckets:
        if not world.manager.storage.has_bucket(bucket.bucket_name):
            raise ApiError(404, f"No such bucket: {bucket.bucket_name}")
    project = definition.project_uuid
    if project and project not in world.projects:
        raise ApiError(400, f"No such project: {project}")
    for right in definition.secrets_access_rights.by_secret:
        if not world.secrets.has(right.key):
            raise ApiError(404, f"No such secret: {right.key}")
    for constraint in definition.hardware_constraints:
        if reason := hardware.refusal(constraint):
            raise ApiError(402, f"Not available with this hardware constraint: {reason}")


def _check_dependencies(world: Context, definition: TaskDefinition) -> None:
    named = definition.dependencies.named
    if not named:
        definition.dependencies = Dependencies()
        return
    job = world.manager.jobs.find(definition.job_uuid or "")
    if job is None or not job.definition.use_dependencies:
        raise invalid("dependencies")
    if any(world.manager.tasks.find(uuid) is None for uuid in named):
        raise invalid("dependencies")


def make_job(world: Context, definition: JobDefinition) -> Job:
    """Check a submission and make its job."""
    if world.manager.has_all_jobs():
        raise ApiError(403, "Maximum number of jobs reached")
    wrong = field_checks.wrong_job(definition, world.manager.jobs.find)
    if wrong:
        raise ApiError(400, f"Invalid job file. Invalid fields: {', '.join(wrong)}")
    if definition.pool_uuid:
        definition.pool_uuid = _open_pool(world, definition.pool_uuid).uuid
    return Job(definition)


def change(definition: Definition, given: Update, limit: int) -> None:
    """Take constants and tags from an update, as strict as at submission; all of it or, with an error, nothing."""
    constants = _merged(definition.constants, given.constants or [])
    tags = definition.tags if given.tags is None else given.tags
    wrong = field_checks.wrong_tags(tags) + field_checks.wrong_constants(given.constants or [], limit)
    wrong += [] if len(constants) <= limit else ["constants"]
    if wrong:
        raise invalid(*wrong)
    definition.constants, definition.tags = constants, tags


def _merged(own: list[Constant], given: list[Constant]) -> list[Constant]:
    """New and changed constants are taken, none is removed (§6.19), hidden ones stay as they are."""
    fresh = {each.key: each for each in given if each.value != "[SECRET]"}
    return list(({each.key: each for each in own} | fresh).values())


def _settle_group(world: Context, definition: TaskDefinition) -> Pool | None:
    """An unknown pool or job is a 400 here, not a 404; both may be named by their short names (§1.4)."""
    if definition.job_uuid:
        job = world.manager.jobs.find(definition.job_uuid)
        if job is None or job.state != ACTIVE:
            raise ApiError(400, f"No such job: {definition.job_uuid}")
        definition.job_uuid = job.uuid
        definition.pool_uuid = definition.pool_uuid or job.definition.pool_uuid
    if not definition.pool_uuid:
        return None
    pool = _open_pool(world, definition.pool_uuid)
    definition.pool_uuid = pool.uuid
    return pool


def _open_pool(world: Context, name: str) -> Pool:
    pool = world.manager.pools.find(name)
    if pool is None or not pool.is_open:
        raise ApiError(400, f"No such pool: {name}")
    return pool
