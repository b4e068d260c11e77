"""The wire's JSON, in whatever shape it comes, is read without an exception."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.cloud.models import read_task, read_time
from run_qarnot.engine.wait_estimate import wait_estimates
from run_qarnot.model.view import MachineUse

JSON: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just([]) | st.just({})
)
FIELDS = ["uuid", "name", "state", "creationDate", "endDate", "constants", "labels", "status", "errors", "resultBucket"]


@given(st.dictionaries(st.sampled_from(FIELDS), st.none()))
def test_a_null_is_never_an_exception(body: dict[str, None]) -> None:
    assert read_task(body).state == ""


def test_times_of_all_shapes() -> None:
    assert read_time("2026-03-02T09:15:00Z") == datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    assert read_time("2026-03-02T09:15:00.123456Z") == datetime(2026, 3, 2, 9, 15, 0, 123456, tzinfo=UTC)
    assert read_time("0001-01-01T00:00:00Z") is None
    assert read_time(None) is None
    assert read_time("soon") is None


def test_constants_that_arrive_as_numbers_are_text() -> None:
    assert read_task({"constants": [{"key": "N", "value": 26}]}).constants == {"N": "26"}


def test_that_the_cluster_makes_no_saves_is_not_that_it_does_not_say() -> None:
    assert read_task({"snapshotInterval": 0}).snapshot_seconds == 0
    assert read_task({"snapshotInterval": None}).snapshot_seconds is None
    assert read_task({}).snapshot_seconds is None


CREATED, RUNS, OVER = "2026-03-02T09:15:00Z", "2026-03-02T09:16:40Z", "2026-03-02T10:17:00Z"


def task(
    state: str = "Success",
    *,
    attempt: int = 1,
    ended: str | None = OVER,
    executed: int = 3600,
    uploaded: int = 15,
    instances: int = 1,
) -> dict[str, Any]:
    running = state == "FullyExecuting"
    each = [{"executionAttemptCount": attempt}] * instances
    return {
        "state": state,
        "creationDate": CREATED,
        "stateTransitionTime": RUNS if running else ended,
        "endDate": "0001-01-01T00:00:00Z" if running else ended,
        "labels": {"rq-image": "base"},
        "completedInstances": [] if running else each,
        "status": {
            "executionTimeSec": executed,
            "uploadTimeSec": uploaded,
            "runningInstancesInfo": {"perRunningInstanceInfo": each if running else []},
        },
    }


@pytest.mark.parametrize("state", ["Success", "Failure", "Cancelled"])
def test_how_long_it_took_until_its_machine_ran(state: str) -> None:
    assert read_task(task("FullyExecuting")).until_started == 100
    assert read_task(task(state)).until_started == 3720 - 3600 - 15


@pytest.mark.parametrize(
    "body",
    [
        task("Submitted", ended=None),
        task("FullyExecuting", attempt=2),
        task(attempt=2),
        task(instances=3),
        task(executed=0),
        task(ended=None),
        {**task(), "creationDate": None},
        {**task(), "status": None},
    ],
)
def test_where_that_cannot_be_told_nothing_is_said(body: dict[str, Any]) -> None:
    assert read_task(body).until_started is None


def test_usual_is_what_at_least_two_sessions_of_an_image_had() -> None:
    slow = {**task(executed=3000), "labels": {"rq-image": "slow"}}
    bodies = [task(), task(executed=3500), task(executed=3590), slow, {**task(), "labels": None}, task(attempt=2)]
    assert wait_estimates(map(read_task, bodies)) == {"base": 115}
    old = [task(executed=100)] * 20
    assert wait_estimates(map(read_task, [*[task()] * 7, *old])) == {"base": 105}, "what was long ago is not usual"


def test_what_a_machine_is_and_how_busy() -> None:
    told = {"coreCount": 28, "cpuModel": "A CPU", "cpuUsage": 88.0, "maxMemoryMB": 131072, "currentMemoryMB": 27500}
    body = {"status": {"runningInstancesInfo": {"perRunningInstanceInfo": [told, {}]}}}
    assert read_task(body).machines == (MachineUse(28, "A CPU", 88.0, 131072, 27500), MachineUse())
    told["specificationKey"] = "28c-128g-a6000"
    assert read_task(body).machines[0].specification == "28c-128g-a6000"


@given(st.dictionaries(st.sampled_from(["coreCount", "cpuModel", "cpuUsage", "maxMemoryMB"]), JSON))
def test_what_is_said_of_a_machine_is_a_value_or_unknown(told: dict[str, Any]) -> None:
    [use] = read_task({"status": {"runningInstancesInfo": {"perRunningInstanceInfo": [told]}}}).machines
    assert use.cores is None or use.cores >= 1
    assert use.cpu_percent is None or 0 <= use.cpu_percent <= 100
    assert use.memory_mb is None or use.memory_mb >= 0


def test_the_first_machine_counts_for_attempt_and_forwards_and_the_others_are_counted() -> None:
    def instance(number: int, attempt: int, port: int) -> dict[str, object]:
        forward = {"applicationPort": 22, "forwarderHost": "gateway.example", "forwarderPort": port}
        return {"instanceId": number, "executionAttemptCount": attempt, "activeForwards": [forward]}

    running = {"perRunningInstanceInfo": [instance(1, 3, 5001), instance(0, 2, 5000)]}
    task = read_task({"totalInstanceCount": 4, "instanceCount": 4, "status": {"runningInstancesInfo": running}})
    assert (task.attempt, [forward.port for forward in task.forwards]) == (2, [5000])
    assert (len(task.machines), task.machine_count) == (2, 4)
    assert read_task({}).machine_count == 1
