"""Every JSON answer against the vendor's OpenAPI document. Where we differ on purpose, the reason stands here.

`docs/cluster.md` has the same list for people. The answers come from qarnot_local.api.account qarnot_local.api.views
qarnot_local.api.status qarnot_local.api.secret_routes qarnot_local.api.job_routes qarnot_local.api.pool_routes .
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.exceptions import SecretConflictException, SecretNotFoundException
from qarnot.secrets import Secrets
from support.shapes import differences
from support.tasks import command, ended, forward
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

Ask = Any

# The document has no null for an id that is not there; the SDKs' own bodies have (reference §2.3).
NO_IDS = {f"{shape}.{name} is null" for shape in ("Task", "TaskSummary", "Job") for name in ("poolUuid", "jobUuid")}
# Not yet, or not at all: an empty object would crash the SDK (§2.3).
NOTHING_YET = {"Task.status is null", "Completed.error is null", "Pool.preparationTask is null"}
NOTHING_YET |= {"ResourcesFiltering.prefixFiltering is missing", "ResourcesTransformation.stripPrefix is missing"}
# What the SDKs send or read, and the document does not have.
MORE = {
    "Task": """projectUuid forcedConstants forcedNetworkRules targetedReservationName maxTimeQueueSeconds
        defaultResourcesCacheTTLSec""",
    "Dependencies": "advancedDependsOn state",
    "Pool": """projectUuid forcedConstants forcedNetworkRules targetedReservationName defaultResourcesCacheTTLSec
        multiSlotsSettings""",
    "RunningCore": "runningCoreCount",
    "User": "bucketCount reservedQuotas projects",
    "ComputingQuotas": "organization",
    "SchedulingQuotas": "runningCoresCount",
    "SummaryPage": "token",
    "Carbon": """total_consumed_energy_Wh total_energy_it_Wh total_reused_energy_Wh qarnot_carbon_footprint
        equivalent_datacenter_name equivalent_DC_carbon_footprint saved_carbon_footprint_compute
        saved_carbon_footprint_heat saved_carbon_footprint_compute_heat saved_carbon_footprint_percent
        PUE ERE ERF WUE""",
}
ON_PURPOSE = NO_IDS | NOTHING_YET
ON_PURPOSE |= {f"{shape}.{name} is more" for shape, names in MORE.items() for name in names.split()}


@pytest.fixture(scope="module")
def ask(cluster: LocalCluster) -> Iterator[Ask]:
    """Ask, and compare the answer with its shape."""
    with requests.Session() as session:
        session.headers["Authorization"] = cluster.token

        def asked(kind: str, path: str, method: str = "GET", body: Any = None, status: int = 200) -> Any:
            answer = session.request(method, cluster.cluster_url + path, json=body, timeout=10)
            assert answer.status_code == status, answer.text
            found = answer.json() if answer.content else None
            assert set(differences(found, kind)) <= ON_PURPOSE if kind else found is None
            return found

        yield asked


def test_the_reader_finds_what_is_wrong() -> None:
    constant = {"name": 1, "value": None, "more": True}
    assert set(differences({"uuid": "x", **constant}, "Constant")) == {
        "Constant.name is no text: 1",
        "Constant.description is missing",
        "Constant.more is more",
        "Constant.uuid is more",
    }


def test_a_tasks_whole_life_has_the_documents_shape(
    ask: Ask, cluster: LocalCluster, connection: Connection, keys_folder: Path
) -> None:
    connection.create_bucket("shape-in").add_string("x", "x")
    task = {
        "name": "shape",
        "profile": "docker-network-ssh",
        "instanceCount": 1,
        "constants": [{"key": "DOCKER_CMD", "value": "sh -c 'echo x > made; sleep 60'"}],
        "resourceBuckets": ["shape-in"],
        "resultBucket": "shape-out",
        "hardwareConstraints": [{"discriminator": "MinimumCoreHardwareConstraint", "coreCount": 1}],
        "labels": {"a": "b"},
    }
    cluster.control.hold("Submitted")
    uuid = ask("Id", "/tasks", "POST", task)["uuid"]
    assert ask("Task", f"/tasks/{uuid}")["status"] is None
    cluster.control.release()
    forward(connection.retrieve_task(uuid))
    running = ask("Task", f"/tasks/{uuid}")
    assert running["status"]["runningInstancesInfo"]["perRunningInstanceInfo"][0]["activeForwards"]
    snapshot = ask("map", f"/tasks/{uuid}/snapshot", "POST", {})
    wait_until(lambda: ask("map", f"/tasks/{uuid}/snapshot/{snapshot['id']}")["status"] == "Success", "it is saved")
    for path in ("/tasks", "/tasks?tag=none"):
        ask("[Task]", path)
    ask("[TaskSummary]", "/tasks/summaries")
    ask("[Task]", "/tasks/search", "POST", {"maximumResults": 2})
    ask("SummaryPage", "/tasks/summaries/paginate", "POST", {"maximumResults": 1})
    ask("", f"/tasks/{uuid}/abort", "POST")
    ended(connection.retrieve_task(uuid))
    done = ask("Task", f"/tasks/{uuid}")
    assert done["completedInstances"][0]["state"] == "Cancelled"
    for verb in ("clone", "resume", "recover"):
        clone = ask("Id", f"/tasks/{uuid}/{verb}", "POST", {"name": verb})["uuid"]
        assert ask("Task", f"/tasks/{clone}")["name"] == verb
        ask("", f"/tasks/{clone}", "DELETE")
    ask("Carbon", f"/carbon/v1/Tasks/{uuid}/carbon-facts")
    many = ask("[MultiResponse]", "/tasks", "POST", [{**task, "instanceCount": 1, "profile": "docker-batch"}], 207)
    ask("", f"/tasks/{many[0]['uuid']}", "DELETE")


def test_a_failed_task_says_why(ask: Ask, connection: Connection) -> None:
    task = command(connection, "exit 3")
    task.submit()
    assert ended(task) == "Failure"
    found = ask("Task", f"/tasks/{task.uuid}")
    assert found["errors"][0] == found["completedInstances"][0]["error"]
    again = ask("Id", f"/tasks/{task.uuid}/retry", "POST", {})["uuid"]
    assert ended(connection.retrieve_task(again)) == "Failure"


def test_jobs_and_pools_have_the_documents_shape(ask: Ask, cluster: LocalCluster) -> None:
    body = {"name": "pool", "profile": "docker-batch", "instanceCount": 2, "tags": ["shaped"]}
    pool = ask("Id", "/pools", "POST", body)["uuid"]
    instances = ask("Pool", f"/pools/{pool}")["status"]["runningInstancesInfo"]["perRunningInstanceInfo"]
    assert len(instances) == 2
    job = ask("Id", "/jobs/", "POST", {"name": "job", "poolUuid": pool, "maxWallTime": "1.02:03:04"})["uuid"]
    assert ask("Job", f"/jobs/{job}")["maxWallTime"] == "1.02:03:04"
    ask("[Job]", f"/pools/{pool}/jobs")
    ask("[Job]", "/jobs/search", "POST", {})
    task = ask("Id", "/tasks", "POST", {"name": "in a pool", "jobUuid": job, "instanceCount": 1})["uuid"]
    assert ask("Task", f"/tasks/{task}")["profile"] == "docker-batch"
    assert [each["uuid"] for each in ask("[Task]", f"/pools/{pool}/tasks")] == [task]
    assert [each["uuid"] for each in ask("[Task]", f"/jobs/{job}/tasks")] == [task]
    ask("[Pool]", "/pools?tag=shaped")
    ask("[PoolSummary]", "/pools/summaries")
    policy = {"type": "Fixed", "name": "day", "enabledPeriods": [{"type": "Always", "name": "a"}], "slotsCount": 4}
    assert ask("Scaling", f"/pools/{pool}/scaling", "PUT", {"policies": [policy]})["activePolicyName"] == "day"
    ask("", f"/pools/{pool}", "PUT", {"tags": ["other"], "name": "ignored"})
    changed = ask("Pool", f"/pools/{pool}")
    assert (changed["tags"], changed["name"]) == (["other"], "pool")
    copy = ask("Id", f"/pools/{pool}/clone", "POST", {})["uuid"]
    ask("", f"/pools/{pool}/close", "POST")
    assert ask("Pool", f"/pools/{pool}")["state"] == "Closing"
    cluster.control.advance(1)
    assert ask("Pool", f"/pools/{pool}")["state"] == "Closed"
    refused = ask("map", "/tasks", "POST", {"name": "late", "poolUuid": pool, "instanceCount": 1}, 400)
    assert refused == {"message": f"No such pool: {pool}"}
    for uuid in (pool, copy):
        ask("", f"/pools/{uuid}", "DELETE")
        ask("map", f"/pools/{uuid}", status=404)


def test_the_account_has_the_documents_shape(ask: Ask) -> None:
    ask("User", "/info")
    ask("[Version]", "/versions")
    ask("map", "/settings")
    ask("map", "/v1")
    for name in ask("[text]", "/profiles"):
        ask("Profile", f"/profiles/{name}")
    ask("map", "/profiles/nothing", status=404)
    assert ask("HardwarePage", "/hardware-constraints?limit=2147483647")["limit"] == 50
    model = ask("HardwarePage", "/hardware-constraints")["data"][-1]["cpuModel"]
    assert ask("[map]", f"/hardware-constraints/cpu-model-constraints/search?cpuModel={model}")
    ask("UserQuotas", "/quotas/computing-quotas/user")
    assert ask("map", "/quotas/computing-quotas/organization")["flex"]["runningCountsPerUser"] is not None
    assert ask("map", "/credits/v1/accounts/credits")["credits"] > 0
    project = ask("User", "/info")["projects"][0]["uuid"]
    assert ask("map", f"/credits/v1/projects/{project}/budgets?activeOnly=True")["budgets"][0]["alias"] == "main"
    ask("map", "/credits/v1/projects/nothing/budgets", status=404)


def test_secrets_as_the_sdk_uses_them(connection: Connection) -> None:
    secrets = Secrets(connection)
    secrets.create_secret("reg/pw", "hush")
    secrets.create_secret("reg/deep/er", "quiet")
    with pytest.raises(SecretConflictException):
        secrets.create_secret("reg/pw", "other")
    with pytest.raises(SecretConflictException):
        secrets.create_secret("reg", "a folder already")
    assert secrets.get_secret("reg/pw") == "hush"
    secrets.update_secret("reg/pw", "new")
    assert secrets.get_secret("reg/pw") == "new"
    assert sorted(secrets.list_secrets("reg")) == ["reg/deep/", "reg/pw"]
    assert sorted(secrets.list_secrets("", recursive=True)) == ["reg/deep/er", "reg/pw"]
    secrets.delete_secret("reg/pw")
    with pytest.raises(SecretNotFoundException):
        secrets.get_secret("reg/pw")
