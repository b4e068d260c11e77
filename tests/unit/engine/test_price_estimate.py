"""Which earlier runs tell what a start costs."""

from __future__ import annotations

from typing import Any

from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.engine.price_estimate import similar_runs

CORES = {"minimum_cores": 8}


def run(task_id: str, **changes: Any) -> TaskSnapshot:
    """A run of `base` on 8 cores that worked for an hour."""
    body = {
        "uuid": task_id,
        "labels": {"rq-image": "base"},
        "schedulingType": "flex",
        "status": {"executionTimeSec": 3600},
        "hardwareConstraints": [{"discriminator": "MinimumCoreHardwareConstraint", "coreCount": 8}],
    }
    return read_task(body | changes)


def ids(*tasks: TaskSnapshot, scheduling: str = "") -> list[str]:
    return [task.id for task in similar_runs(tasks, "base", CORES, scheduling)]


def test_runs_of_the_same_image_on_the_same_hardware_tell() -> None:
    others = [
        run("image", labels={"rq-image": "torch"}),
        run("hardware", hardwareConstraints=[]),
        run("short", status={"executionTimeSec": 30}),
        run("unknown", status=None),
    ]
    assert ids(run("a"), *others, run("b")) == ["a", "b"]


def test_the_latest_few_do() -> None:
    assert ids(*(run(str(number)) for number in range(10))) == ["0", "1", "2"]


def test_scheduling_counts_where_it_is_chosen() -> None:
    tasks = run("flex"), run("demand", schedulingType="onDemand")
    assert ids(*tasks) == ["flex", "demand"]
    assert ids(*tasks, scheduling="on-demand") == ["demand"]
