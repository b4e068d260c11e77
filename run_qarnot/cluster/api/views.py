"""What a GET answers (`reference/qarnot-platform.md` §2.3, §2.4, §2bis). The null rule of §0.5 is kept here."""

from __future__ import annotations

from typing import Any

from run_qarnot.cluster import tasks
from run_qarnot.cluster.api.submission import range_length
from run_qarnot.cluster.jobs import Job
from run_qarnot.cluster.machine import machine
from run_qarnot.cluster.tasks import Task
from run_qarnot.cluster.wire import date, duration, now

_SUMMARY = """uuid name shortname profile poolUuid jobUuid progress runningInstanceCount runningCoreCount clusterInfo
executionTime wallTime state previousState totalInstanceCount instanceCount maxRetriesPerInstance advancedRanges
stateTransitionTime previousStateTransitionTime lastModified creationDate endDate
waitForPoolResourcesSynchronization""".split()
_SECRET = "QARNOT_SECRET__"  # noqa: S105 - the beginning of names


def _is_running(task: Task) -> bool:
    """Its process runs: an instance is listed exactly then (§0.7)."""
    return task.state == tasks.EXECUTING or (task.started is not None and task.stopped is None)


def task_view(task: Task) -> dict[str, Any]:
    """The whole task. `definition` comes first: every field that a client may set, none null by mistake."""
    running = int(_is_running(task))
    definition = task.definition
    ranges = definition["advancedRanges"]
    return {
        **definition,
        "uuid": task.uuid,
        "shortname": task.shortname,
        "state": task.state,
        "previousState": task.previous_state,
        "creationDate": date(task.created),
        "stateTransitionTime": date(task.changed),
        "previousStateTransitionTime": date(task.previously_changed or task.created),
        "lastModified": date(task.modified),
        "endDate": date(task.ended),
        "progress": 100.0 if task.state == tasks.SUCCESS else 0.0,
        "executionTime": duration(task.execution_seconds),
        "wallTime": duration(task.wall_seconds),
        "totalInstanceCount": range_length(ranges) if ranges else definition["instanceCount"],
        "runningInstanceCount": running,
        "runningCoreCount": running * machine().cores,
        "clusterInfo": {"clusterCoresCount": machine().cores},
        "constants": [_hide(constant) for constant in definition["constants"]],
        "resultsCount": len(task.results),
        "snapshotInterval": task.snapshot_interval,
        "errors": task.errors,
        "completedInstances": [_completed(task)] if task.is_final and task.started else [],
        "dependencies": {
            "advancedDependsOn": [],
            "state": "dependencyConditionsFulfilled",
            **definition["dependencies"],
        },
        "status": None if task.state == tasks.SUBMITTED else _status(task),
    }


def summary_view(task: Task) -> dict[str, Any]:
    whole = task_view(task)
    return {name: whole[name] for name in _SUMMARY}


def job_view(job: Job) -> dict[str, Any]:
    return {
        **job.definition,
        "uuid": job.uuid,
        "shortname": job.shortname,
        "state": job.state,
        "previousState": job.previous_state,
        "creationDate": date(job.created),
        "stateTransitionTime": date(job.changed),
        "previousStateTransitionTime": date(job.previously_changed or job.created),
        "lastModified": date(job.modified),
    }


def _hide(constant: dict[str, str]) -> dict[str, str]:
    return {**constant, "value": "[SECRET]"} if constant["key"].startswith(_SECRET) else constant


def _completed(task: Task) -> dict[str, Any]:
    seconds = task.execution_seconds
    error = task.errors[0] if task.errors else None
    return {
        "results": sorted(task.results),
        "instanceId": 0,
        "wallTimeSec": task.wall_seconds,
        "execTimeSec": seconds,
        "execTimeSecGHz": seconds * machine().ghz,
        "peakMemoryMB": 0,
        "state": task.state,
        "error": error,
        "executionAttemptCount": task.attempt,
        **_where(),
        "averageGHz": machine().ghz,
    }


def _where() -> dict[str, Any]:
    own = machine()
    return {"specificationKey": own.key, "cpuModel": own.cpu_model, "coreCount": own.cores, "clockRatio": 1}


def _spans(task: Task) -> dict[str, float]:
    """Seconds spent in each phase."""
    end = task.ended or now()

    def between(start: Any, stop: Any) -> float:
        return float(((stop or end) - start).total_seconds()) if start else 0.0

    return {
        "download": between(task.dispatched, task.transferred or task.started),
        "environment": between(task.transferred, task.started),
        "execution": task.execution_seconds,
        "upload": between(task.stopped, task.ended),
        "wall": task.wall_seconds,
    }


def _status(task: Task) -> dict[str, Any]:
    own, seconds = machine(), task.execution_seconds
    times: dict[str, Any] = {}
    for name, span in _spans(task).items():
        times |= {f"{name}Time": duration(span), f"{name}TimeSec": int(span)}
    success, cancelled, ended = task.state == tasks.SUCCESS, task.state == tasks.CANCELLED, task.is_final
    return {
        "timestamp": date(now()),
        "lastUpdateTimestamp": date(now()),
        "downloadProgress": 100 if task.transferred else 0,
        "executionProgress": 100 if success else 0,
        "uploadProgress": 100 if success else 0,
        "instanceCount": task.definition["instanceCount"] or 1,
        **times,
        "executionTimeByCpuModel": [{"model": own.cpu_model, "time": int(seconds), "core": own.cores}],
        "executionTimeGhzByCpuModel": [
            {"model": own.cpu_model, "timeGhz": seconds * own.ghz, "clockRatio": 1, "core": own.cores}
        ],
        "executionTimeByMachineSpecification": [{"specificationKey": own.key, "time": int(seconds)}],
        "executionTimeBySiteAndMachine": [],
        "executionTimeByInstanceId": [],
        "succeededRange": "0" if success else "",
        "executedRange": "0" if ended and task.started else "",
        "failedRange": "0" if ended and not success else "",
        "cancelledRange": "0" if cancelled else "",
        "failedOnlyRange": "0" if task.state == tasks.FAILURE else "",
        "startedOnceRange": "0" if task.started else "",
        "runningInstancesInfo": _running(task),
    }


def _running(task: Task) -> dict[str, Any]:
    own = machine()
    seconds = task.execution_seconds
    instances = [_instance(task)] if _is_running(task) else []
    speed = dict.fromkeys(
        ("averageFrequencyGHz", "maxFrequencyGHz", "minFrequencyGHz", "averageMaxFrequencyGHz"), own.ghz
    )
    network = ("averageNetworkInKbps", "averageNetworkOutKbps", "totalNetworkInKbps", "totalNetworkOutKbps")
    cores = [{"model": own.cpu_model, "core": own.cores, "runningCoreCount": own.cores}] if instances else []
    return {
        "timestamp": date(now()),
        **speed,
        "averageCpuUsage": 0.0,
        "clusterPowerIndicator": 1,
        "averageMemoryUsage": 0.0,
        **dict.fromkeys(network, 0),
        "runningCoreCountByCpuModel": cores,
        "snapshotResults": sorted(task.results) if instances and seconds else [],
        "perRunningInstanceInfo": instances,
    }


def _instance(task: Task) -> dict[str, Any]:
    own, seconds = machine(), task.execution_seconds
    forwards = [
        {
            "applicationPort": forward.application_port,
            "forwarderPort": forward.port,
            "forwarderHost": forward.host,
            "bindAddress": forward.host,
        }
        for forward in task.forwards
    ]
    return {
        "phase": task.phase,
        "instanceId": 0,
        "executionAttemptCount": task.attempt,
        "maxFrequencyGHz": own.ghz,
        "currentFrequencyGHz": own.ghz,
        "cpuUsage": 0.0,
        "maxMemoryMB": own.memory_mb,
        "currentMemoryMB": 0,
        "memoryUsage": 0.0,
        "networkInKbps": 0,
        "networkOutKbps": 0,
        "progress": 0.0,
        "executionTimeSec": int(seconds),
        "executionTimeGHz": seconds * own.ghz,
        **_where(),
        "activeForwards": forwards,
        "vpnConnections": [],
    }
