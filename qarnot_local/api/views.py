"""The answers to GET (`reference/qarnot-platform.md` §2.3, §2.4, §2bis). The null rule of §0.5 is kept here."""

from __future__ import annotations

from collections.abc import Callable

from qarnot_local.api.status import pool_status, status_view, where
from qarnot_local.runtime import dependencies, tasks
from qarnot_local.runtime.definition import Constant
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.machine import machine
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.tasks import Instance, Task
from qarnot_local.wire import View, date, duration, now

_POOL_SUMMARY = """uuid name shortname profile state previousState instanceCount targetRunningInstanceCount
stateTransitionTime previousStateTransitionTime creationDate lastModified endDate runningInstanceCount runningCoreCount
queuedOrRunningTaskInstancesCount executionTime wallTime taskDefaultWaitForPoolResourcesSynchronization""".split()
_SUMMARY = """uuid name shortname profile poolUuid jobUuid progress runningInstanceCount runningCoreCount clusterInfo
executionTime wallTime state previousState totalInstanceCount instanceCount maxRetriesPerInstance advancedRanges
stateTransitionTime previousStateTransitionTime lastModified creationDate endDate
waitForPoolResourcesSynchronization""".split()
_SECRET = "QARNOT_SECRET__"  # noqa: S105 - the beginning of names


def task_view(task: Task, find: Callable[[str], Task | None]) -> View:
    """The whole task. `definition` comes first: every field that a client may set, none null by mistake."""
    running = _listed(task)
    definition = task.definition
    return {
        **definition.model_dump(),
        "uuid": task.uuid,
        "shortname": task.shortname,
        "state": task.state,
        "previousState": task.previous_state,
        **_dates(task),
        "endDate": date(task.ended),
        "progress": _progress(task),
        "executionTime": duration(max(1.0, task.execution_seconds) if task.is_final else task.execution_seconds),
        "wallTime": duration(task.wall_seconds),
        "totalInstanceCount": len(task.instances),
        "runningInstanceCount": len(running),
        "runningCoreCount": len(running) * machine().cores,
        "clusterInfo": {"clusterCoresCount": machine().cores},
        "constants": [_hide(constant) for constant in definition.constants],
        "resultsBucket": definition.result_bucket,
        "resultsCount": len(task.results),
        "snapshotInterval": task.snapshot_interval,
        "errors": [error.answer() for error in task.errors],
        "completedInstances": [_completed(task, each) for each in task.instances if each.state],
        "dependencies": dependencies.answer(task, find),
        "status": status_view(task) if task.admitted else None,
    }


def _dates(record: Task | Job | Pool) -> dict[str, str]:
    return {
        "creationDate": date(record.created),
        "stateTransitionTime": date(record.changed),
        "previousStateTransitionTime": date(record.previously_changed or record.created),
        "lastModified": date(record.modified),
    }


def _listed(task: Task) -> list[Instance]:
    """The instances that run. While the task is FullyExecuting there is always one (§0.7)."""
    return [instance for instance in task.instances if instance.is_listed]


def _progress(task: Task) -> float:
    """0 to 100 (§8): of the instances that ended well, and of the regexes DOCKER_PROGRESS1..3 nothing."""
    done = sum(instance.state == tasks.SUCCESS for instance in task.instances)
    return 100.0 * done / len(task.instances) if task.instances else 0.0


def summary_of(whole: View) -> View:
    """What the summaries keep of a task."""
    return {name: whole[name] for name in _SUMMARY}


def job_view(job: Job) -> View:
    return {
        **job.definition.model_dump(),
        "uuid": job.uuid,
        "shortname": job.shortname,
        "state": job.state,
        "previousState": job.previous_state,
        **_dates(job),
    }


def pool_view(pool: Pool, own: list[Task]) -> View:
    """`own` are the tasks in it. Its machines are this one, and stand ready; each has one slot or more."""
    definition = pool.definition
    size = definition.instance_count or definition.elastic_property.min_total_slots
    count = size if pool.is_open else 0
    waiting = sum(not instance.ended for task in own if not task.is_final for instance in task.instances)
    capacity = count * (definition.multi_slots_settings.slots_per_node or 1)
    policies = definition.scaling.model_dump()["policies"]
    return {
        **definition.model_dump(),
        "uuid": pool.uuid,
        "shortname": pool.shortname,
        "state": pool.state,
        "previousState": pool.previous_state,
        **_dates(pool),
        "endDate": date(pool.ended),
        "constants": [_hide(constant) for constant in definition.constants],
        "errors": [],
        "executionTime": duration(0),
        "wallTime": duration(((pool.ended or now()) - pool.created).total_seconds()),
        "runningInstanceCount": count,
        "runningCoreCount": count * machine().cores,
        "targetRunningInstanceCount": count,
        "totalSlotCapacity": capacity,
        "queuedOrRunningTaskInstancesCount": waiting,
        "poolUsage": waiting / capacity if capacity else 0.0,
        "scaling": {"policies": policies, "activePolicyName": policies[0].get("name") if policies else None},
        "status": pool_status(pool, count),
    }


def pool_summary_of(whole: View) -> View:
    return {name: whole[name] for name in _POOL_SUMMARY}


def _hide(constant: Constant) -> dict[str, str]:
    is_secret = constant.key.startswith(_SECRET)
    return {"key": constant.key, "value": "[SECRET]" if is_secret else constant.value or ""}


def _completed(task: Task, instance: Instance) -> View:
    seconds = instance.execution_seconds
    bucket = task.definition.result_bucket
    return {
        "results": [f"s3://localhost/{bucket}/{key}" for key in sorted(instance.results)],
        "instanceId": instance.number,
        "wallTimeSec": ((instance.ended or now()) - task.created).total_seconds(),
        "execTimeSec": seconds,
        "execTimeSecGHz": seconds * machine().ghz,
        "peakMemoryMB": 0,
        "state": instance.state,
        "error": instance.error and instance.error.answer(),
        "executionAttemptCount": instance.attempt,
        **where(),
        "averageGHz": machine().ghz,
    }
