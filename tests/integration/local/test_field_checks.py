"""What the vendor's OpenAPI document says must not be sent is refused with 400, and its neighbours are accepted.

The refusals come from qarnot_local.api.submission with its checks, for clones from qarnot_local.api.clones .
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.exceptions import QarnotGenericException
from support.tasks import connect

from qarnot_local import LocalCluster
from qarnot_local.runtime import hardware

pytestmark = pytest.mark.slow

TASK: dict[str, Any] = {"name": "x", "profile": "docker-batch", "instanceCount": 1}
POOL: dict[str, Any] = {"name": "x", "profile": "docker-batch"}
NO_GUID = "00000000-0000-0000-0000-000000000000"
RULE: dict[str, Any] = {"inbound": True, "proto": "tcp", "port": "80"}
FORCED: dict[str, Any] = {"constantName": "A", "forcedValue": "x"}
PERIOD: dict[str, Any] = {"type": "Weekly", "days": ["monday"], "startTimeUtc": "22:00:00", "endTimeUtc": "06:00"}
MANAGED: dict[str, Any] = {"type": "ManagedTasksQueue", "minTotalSlots": 1, "maxTotalSlots": 4, "minIdleSlots": 2}
ELASTIC: dict[str, Any] = {"isElastic": True, "minTotalSlots": 1, "maxTotalSlots": 4, "minIdleSlots": 1}


def hard(**fields: Any) -> dict[str, Any]:
    return {"hardwareConstraints": [fields]}


def scaling(**fields: Any) -> dict[str, Any]:
    return {"scaling": {"policies": [fields]}}


BOTH_BAD: list[dict[str, Any]] = [
    hard(discriminator="Nothing"),
    hard(discriminator="ssdHardwareConstraint"),
    hard(coreCount=4),
    hard(discriminator="MinimumCoreHardwareConstraint", coreCount="4"),
    hard(discriminator="MinimumRamHardwareConstraint", minimumMemoryMB="4"),
    {"forcedNetworkRules": [{"inbound": True, "port": "80"}]},
    {"forcedNetworkRules": [RULE | {"proto": None}]},
    {"forcedNetworkRules": [RULE | {"proto": ""}]},
    {"forcedNetworkRules": [RULE | {"proto": "icmp"}]},
    {"forcedNetworkRules": [RULE | {"port": 80}]},
    {"forcedNetworkRules": [RULE | {"inbound": "yes"}]},
    {"forcedNetworkRules": [{"proto": "tcp", "port": "80"}]},
    {"constants": [{"key": "A", "value": None}]},
    {"constants": [{"key": "A"}]},
    {"constants": [{"key": None, "value": "x"}]},
    {"forcedConstants": [FORCED | {"access": "WriteOnly"}]},
    {"forcedConstants": [FORCED | {"forcedValue": "x" * 2049}]},
    {"forcedConstants": [FORCED] * 151},
    {"resourceBuckets": ["there"], "advancedResourceBuckets": [{"bucketName": "there"}]},
    {"tags": ["x" * 512]},
    {"defaultResourcesCacheTTLSec": 2**31},
]
BOTH_GOOD: list[dict[str, Any]] = [
    *(
        hard(discriminator=kind)
        for kind in sorted(hardware.KINDS - {"GpuHardwareConstraint", "CpuModelHardwareConstraint"})
    ),
    hard(discriminator="MinimumRamHardwareConstraint", minimumMemoryMB=4.5),
    {"forcedNetworkRules": [RULE, RULE | {"proto": "UDP"}, RULE | {"proto": "https", "inbound": False}]},
    {"constants": [{"key": "A", "value": ""}, {"key": "B", "value": 5}]},
    {"forcedConstants": [FORCED | {"access": "ReadOnly", "forcedValue": None}, FORCED | {"access": None}]},
    {"resourceBuckets": ["there"], "advancedResourceBuckets": []},
    {"tags": ["x" * 511] * 10},
]
TASK_BAD: list[dict[str, Any]] = [
    {"instanceCount": None},
    {"instanceCount": 0},
    {"instanceCount": None, "advancedRanges": ""},
    {"maxRetriesPerInstance": 2, "retrySettings": {"maxPerInstanceRetries": 2}},
    {"maxRetriesPerInstance": -1},
    {"poolUuid": "{pool}"},  # beside a profile
    {"profile": None, "poolUuid": "{pool}"} | hard(discriminator="SSDHardwareConstraint"),
    {"profile": None, "poolUuid": "{pool}", "jobUuid": "{job}"},
    {"jobUuid": "{pooled job}"},  # beside a profile
    {"resultsWhitelist": "x" * 2048},
]
TASK_GOOD: list[dict[str, Any]] = [
    {"instanceCount": None, "advancedRanges": "0-2,5"},
    {"instanceCount": 0, "advancedRanges": "7"},
    {"maxRetriesPerInstance": 0, "retrySettings": {"maxPerInstanceRetries": 2}},
    {"maxRetriesPerInstance": 2, "retrySettings": {"maxTotalRetries": 2}},
    {"retrySettings": {"maxTotalRetries": 2, "maxPerInstanceRetries": 1}},
    {"profile": None, "poolUuid": "{pool}", "hardwareConstraints": [], "jobUuid": NO_GUID},
    {"profile": None, "poolUuid": NO_GUID, "jobUuid": "{pooled job}"},
    {"jobUuid": "{job}"},
]
POOL_BAD: list[dict[str, Any]] = [
    {"elasticProperty": {"rampResizeFactor": 1}},
    {"elasticProperty": ELASTIC | {"rampResizeFactor": 1}},
    {"elasticProperty": {"rampResizeFactor": 1.1, "isElastic": False}},
    {"elasticProperty": {"rampResizeFactor": -0.1}},
    {"elasticProperty": {"resizePeriod": -1}},
    {"elasticProperty": ELASTIC | {"minTotalSlots": 5}},
    {"elasticProperty": ELASTIC | {"minIdleSlots": 5}},
    {"defaultRetrySettings": {"maxTotalRetries": -1}},
    scaling(**MANAGED | {"minTotalSlots": 5}),
    scaling(**MANAGED | {"minIdleSlots": 5}),
    scaling(**MANAGED | {"maxTotalSlots": -1}),
    scaling(**MANAGED, scalingFactor=1.1),
    scaling(**MANAGED, minIdleTimeSeconds=-1),
    scaling(**MANAGED, enabledPeriods=[{"type": "Sometimes"}]),
    scaling(**MANAGED, enabledPeriods=[PERIOD | {"days": ["someday"]}]),
    scaling(**MANAGED, enabledPeriods=[PERIOD | {"endTimeUtc": "25:00:00"}]),
    scaling(type="Fixed", slotsCount=-1),
    scaling(type="Fixed", slotsCount=5000),
]
POOL_GOOD: list[dict[str, Any]] = [
    {"elasticProperty": {"rampResizeFactor": 0.99}},
    {"elasticProperty": {"rampResizeFactor": 1, "isElastic": False}},  # as the Python SDK sends it
    {"elasticProperty": ELASTIC},
    scaling(**MANAGED, scalingFactor=1, enabledPeriods=[PERIOD, {"type": "Always"}]),
    scaling(type="Fixed", slotsCount=4, enabledPeriods=[PERIOD | {"days": ["Monday"]}]),
]
JOB_BAD: list[dict[str, Any]] = [{"name": ""}, {"tags": ["x"] * 11}, {"tags": ["x" * 512]}, {"shortname": "x-"}]
CASES = [("/tasks", TASK | each, 400) for each in BOTH_BAD + TASK_BAD]
CASES += [("/tasks", TASK | each, 200) for each in BOTH_GOOD + TASK_GOOD]
CASES += [("/pools", POOL | each, 400) for each in BOTH_BAD + POOL_BAD]
CASES += [("/pools", POOL | each, 200) for each in BOTH_GOOD + POOL_GOOD]
CASES += [("/jobs", {"name": "x"} | each, 400) for each in JOB_BAD]


class Asker:
    """Asks one cluster in which a bucket, a pool, a job, and a job in the pool exist."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self.names: dict[str, str] = {}
        self.names["{pool}"] = self("/pools", POOL).json()["uuid"]
        self.names["{job}"] = self("/jobs", {"name": "x"}).json()["uuid"]
        self.names["{pooled job}"] = self("/jobs", {"name": "x", "poolUuid": "{pool}"}).json()["uuid"]

    def __call__(self, path: str, body: Any, method: str = "POST") -> requests.Response:
        body = {name: self.names.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
        url, headers = self._cluster.cluster_url + path, {"Authorization": self._cluster.token}
        return requests.request(method, url, json=body, headers=headers, timeout=10)


@pytest.fixture(scope="module")
def ask(cluster: LocalCluster) -> Asker:
    connect(cluster).create_bucket("there")
    for kind in ("tasks", "running_tasks", "pools", "jobs"):
        cluster.control.set_quota(kind, 1000)
    return Asker(cluster)


@pytest.mark.parametrize(("path", "body", "status"), CASES, ids=str)
def test_submissions(ask: Asker, path: str, body: dict[str, Any], status: int) -> None:
    answer = ask(path, body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("body", POOL_BAD, ids=str)
def test_a_pool_is_not_changed_into_an_impossible_one(ask: Asker, body: dict[str, Any]) -> None:
    if body.keys() & {"elasticProperty", "scaling"}:
        uuid = ask("/pools", POOL).json()["uuid"]
        assert ask(f"/pools/{uuid}", body, "PUT").status_code == 400
    if "scaling" in body:
        assert ask(f"/pools/{uuid}/scaling", body["scaling"], "PUT").status_code == 400
        assert ask("/sanity-checks/pools/scaling", body["scaling"]).status_code == 400


def test_the_sdks_own_pool_is_accepted_and_becomes_elastic_only_with_a_factor_below_one(
    ask: Asker, connection: Connection
) -> None:
    pool = connection.create_pool("x", "docker-batch", 1)
    pool.submit()
    pool.setup_elastic(maximum_total_slots=4, resize_factor=0.5)
    pool.commit()
    other = connection.create_pool("x", "docker-batch", 1)
    other.submit()
    assert ask(f"/pools/{other.uuid}", {"elasticProperty": {"isElastic": True}}, "PUT").status_code == 400
    assert ask(f"/pools/{other.uuid}/clone", {"name": "y"}).status_code == 200
    other.setup_elastic(maximum_total_slots=4)
    with pytest.raises(QarnotGenericException, match="elasticProperty"):
        other.commit()


def test_a_task_is_not_given_a_null_constant(ask: Asker) -> None:
    uuid = ask("/tasks", TASK).json()["uuid"]
    assert ask(f"/tasks/{uuid}", {"constants": [{"key": "A", "value": None}]}, "PUT").status_code == 400
    assert ask(f"/tasks/{uuid}", {"constants": [{"key": "A", "value": "x"}]}, "PUT").status_code == 200


def test_a_clone_overrides_what_a_submission_must_not_give_twice(ask: Asker) -> None:
    """The document says so of clones; and a clone has what its pool or job gave the first task."""
    pooled = ask("/tasks", TASK | {"profile": None, "poolUuid": "{pool}"}).json()["uuid"]
    grouped = ask("/tasks", TASK | {"profile": None, "jobUuid": "{pooled job}"}).json()["uuid"]
    retried = ask("/tasks", TASK | {"maxRetriesPerInstance": 2}).json()["uuid"]
    for uuid, body, status in (
        (pooled, {}, 200),
        (pooled, {"poolUuid": NO_GUID, "profile": None}, 200),
        (pooled, {"profile": "docker-batch"}, 400),
        (pooled, hard(discriminator="SSDHardwareConstraint"), 400),
        (pooled, {"jobUuid": "{pooled job}"}, 200),
        (grouped, {}, 200),
        (grouped, {"poolUuid": "{pool}"}, 400),
        (retried, {"retrySettings": {"maxPerInstanceRetries": 3}}, 200),
        (retried, {"poolUuid": "{pool}"}, 200),
        (retried, {"instanceCount": 0}, 400),
    ):
        answer = ask(f"/tasks/{uuid}/clone", body)
        assert answer.status_code == status, (body, answer.text)


LEAF: dict[str, Any] = {"field": "Name", "operator": "Equal", "value": "x"}
PAGES: list[tuple[dict[str, Any], int]] = [
    ({"orderBy": "Nothing"}, 400),
    ({"orderBy": 5}, 400),
    ({"orderBy": "CreationDate", "orderType": "upwards"}, 400),
    ({"maximumResults": "many"}, 400),
    ({"filter": LEAF | {"field": "Nothing"}}, 400),
    ({"filter": LEAF | {"field": None}}, 400),
    ({"filter": LEAF | {"operator": "Resembles"}}, 400),
    ({"filter": {"operator": "Or", "filters": [LEAF, LEAF | {"field": "Nothing"}]}}, 400),
    ({"orderBy": "creationDate", "orderType": "DESC", "filter": LEAF, "maximumResults": 2}, 200),
    ({"orderBy": "state", "orderType": None, "filter": {"operator": "And", "filters": [LEAF]}}, 200),
    ({"filter": {}, "orderBy": None, "maximumResults": None}, 200),
]


@pytest.mark.parametrize("kind", ["tasks", "tasks/summaries", "pools", "pools/summaries", "jobs"])
@pytest.mark.parametrize(("body", "status"), PAGES, ids=str)
def test_pages(ask: Asker, kind: str, body: dict[str, Any], status: int) -> None:
    """Also of an empty list: the names are checked before there is anything to compare."""
    assert ask(f"/{kind}/paginate", body).status_code == status


@pytest.mark.parametrize("kind", ["tasks", "pools", "jobs"])
@pytest.mark.parametrize(("body", "status"), [case for case in PAGES if not case[0].keys() & {"orderBy"}], ids=str)
def test_searches(ask: Asker, kind: str, body: dict[str, Any], status: int) -> None:
    assert ask(f"/{kind}/search", body).status_code == status


def test_fields_within_fields(ask: Asker) -> None:
    def status(kind: str, field: str) -> int:
        return ask(f"/{kind}/search", {"filter": LEAF | {"field": field}}).status_code

    assert status("pools", "ElasticProperty.IsElastic") == status("tasks", "Labels.any.thing") == 200
    assert status("pools", "ElasticProperty.Nothing") == status("tasks", "Dependencies.Nothing") == 400
