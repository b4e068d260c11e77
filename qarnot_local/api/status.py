"""`status` of a task or pool (`reference/qarnot-platform.md` §2.4): phases, instances, forwards, ranges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from qarnot_local.runtime import tasks
from qarnot_local.runtime.machine import machine
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.tasks import Instance, Task, range_text
from qarnot_local.wire import View, date, duration, now

_SPEEDS = ("averageFrequencyGHz", "maxFrequencyGHz", "minFrequencyGHz", "averageMaxFrequencyGHz")
_NETWORK = ("averageNetworkInKbps", "averageNetworkOutKbps", "totalNetworkInKbps", "totalNetworkOutKbps")


def where() -> View:
    """The machine of an instance: always this computer."""
    own = machine()
    return {"specificationKey": own.key, "cpuModel": own.cpu_model, "coreCount": own.cores, "clockRatio": 1.0}


def status_view(task: Task) -> View:
    own, seconds = machine(), task.execution_seconds
    site = {"specificationKey": own.key, "time": seconds}
    return {
        "timestamp": date(now()),
        "lastUpdateTimestamp": date(now()),
        "downloadProgress": _share(task, lambda each: each.transferred is not None or each.has_started),
        "executionProgress": _share(task, lambda each: each.state == tasks.SUCCESS),
        "uploadProgress": _share(task, lambda each: each.state == tasks.SUCCESS),
        "instanceCount": len(task.instances),
        **_times(task),
        "executionTimeByCpuModel": [{"model": own.cpu_model, "time": seconds, "core": own.cores}],
        "executionTimeGhzByCpuModel": [
            {"model": own.cpu_model, "timeGhz": seconds * own.ghz, "clockRatio": 1.0, "core": own.cores}
        ],
        "executionTimeByMachineSpecification": [site],
        "executionTimeBySiteAndMachine": [{"siteUuid": "local", **site}],
        "executionTimeByInstanceId": [_time(instance) for instance in task.instances if instance.has_started],
        **_ranges(task),
        "runningInstancesInfo": _running([each for each in task.instances if each.is_listed], sorted(task.results)),
    }


def pool_status(pool: Pool, count: int) -> View:
    """The status of a pool, as that of a task whose instances wait for work. Only the first instance has a forward."""
    zeros = dict.fromkeys(("downloadProgress", "executionProgress", "uploadProgress"), 0.0)
    times: View = {}
    for name in ("download", "environment", "execution", "upload", "wall"):
        times |= {f"{name}Time": duration(0), f"{name}TimeSec": 0.0}
    lists = "CpuModel MachineSpecification SiteAndMachine InstanceId".split()
    ranges = ("succeededRange", "executedRange", "failedRange", "cancelledRange", "failedOnlyRange", "startedOnceRange")
    instances = [
        Instance(number, phase="execution", is_listed=True, started=pool.created) for number in range(min(count, 64))
    ]
    if instances:
        instances[0].forwards = pool.forwards
    return {
        "timestamp": date(now()),
        "lastUpdateTimestamp": date(now()),
        **zeros,
        "instanceCount": count,
        **times,
        **{f"executionTimeBy{name}": [] for name in lists},
        "executionTimeGhzByCpuModel": [],
        **dict.fromkeys(ranges, ""),
        "runningInstancesInfo": _running(instances, []),
    }


def _share(task: Task, test: Callable[[Instance], bool]) -> float:
    return 100.0 * sum(map(test, task.instances)) / max(1, len(task.instances))


def _times(task: Task) -> View:
    """Of each phase, the longest over the instances; execution is their sum (§8 leaves it open)."""
    end = task.ended or now()

    def longest(first: Callable[[Instance], datetime | None], last: Callable[[Instance], datetime | None]) -> float:
        spans = [
            ((last(each) or end) - begun).total_seconds()
            for each in task.instances
            if (begun := first(each)) is not None
        ]
        return max(spans, default=0.0)

    spans = {
        "download": longest(lambda each: each.dispatched, lambda each: each.transferred),
        "environment": longest(lambda each: each.transferred, lambda each: each.started),
        "execution": task.execution_seconds,
        "upload": longest(lambda each: each.stopped, lambda each: each.ended),
        "wall": task.wall_seconds,
    }
    times: View = {}
    for name, span in spans.items():
        times |= {f"{name}Time": duration(span), f"{name}TimeSec": float(int(span))}
    return times


def _time(instance: Instance) -> View:
    own, seconds = machine(), instance.execution_seconds
    return {
        "instanceId": instance.number,
        "specificationKey": own.key,
        "siteUuid": "local",
        "time": seconds,
        "timeGhz": seconds * own.ghz,
        "clockRatio": 1.0,
    }


def _ranges(task: Task) -> dict[str, str]:
    """executed = succeeded + failed; failedRange has the cancelled ones too (§2.4)."""
    ended: dict[str | None, set[int]] = {}
    for instance in task.instances:
        ended.setdefault(instance.state, set()).add(instance.number)
    succeeded, failed = ended.get(tasks.SUCCESS, set()), ended.get(tasks.FAILURE, set())
    cancelled = ended.get(tasks.CANCELLED, set())
    sets = {
        "succeededRange": succeeded,
        "executedRange": succeeded | failed,
        "failedRange": failed | cancelled,
        "cancelledRange": cancelled,
        "failedOnlyRange": failed,
        "startedOnceRange": {instance.number for instance in task.instances if instance.has_started},
    }
    return {name: range_text(numbers) for name, numbers in sets.items()}


def _running(instances: list[Instance], results: list[str]) -> View:
    own = machine()
    cores = {"model": own.cpu_model, "core": own.cores}
    count = len(instances) * own.cores
    return {
        "timestamp": date(now()),
        **dict.fromkeys(_SPEEDS, own.ghz),
        "averageCpuUsage": 0.0,
        "clusterPowerIndicator": 1.0,
        "averageMemoryUsage": 0.0,
        **dict.fromkeys(_NETWORK, 0.0),
        # The vendor's document spells it with a small c, the SDKs read the other.
        "runningCoreCountByCpuModel": (
            [{**cores, "runningCoreCount": count, "runningCorecount": count}] if instances else []
        ),
        "snapshotResults": results if instances else [],
        "perRunningInstanceInfo": [_instance(instance) for instance in instances],
    }


def _instance(instance: Instance) -> View:
    own, seconds = machine(), instance.execution_seconds
    forwards = [
        {
            "applicationPort": forward.application_port,
            "forwarderPort": forward.port,
            "forwarderHost": forward.host,
            "bindAddress": forward.host,
        }
        for forward in instance.forwards
    ]
    return {
        "phase": instance.phase,
        "instanceId": instance.number,
        "executionAttemptCount": instance.attempt,
        "maxFrequencyGHz": own.ghz,
        "currentFrequencyGHz": own.ghz,
        "cpuUsage": 0.0,
        "maxMemoryMB": own.memory_mb,
        "currentMemoryMB": 0,
        "memoryUsage": 0.0,
        "networkInKbps": 0.0,
        "networkOutKbps": 0.0,
        "progress": 0.0,
        "executionTimeSec": float(int(seconds)),
        "executionTimeGHz": seconds * own.ghz,
        **where(),
        "activeForwards": forwards,
        "vpnConnections": [],
    }
