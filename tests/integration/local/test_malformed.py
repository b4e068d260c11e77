"""Nothing malformed is kept: whatever was asked, every list answers afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from qarnot_local import LocalCluster
from qarnot_local.api import listing

pytestmark = pytest.mark.slow

TASK: dict[str, Any] = {"name": "x", "profile": "docker-batch", "instanceCount": 1}
POOL: dict[str, Any] = {"name": "x", "profile": "docker-batch"}
BOTH: list[dict[str, Any]] = [
    {"name": 5},
    {"profile": ["docker-batch"]},
    {"shortname": {}},
    {"projectUuid": [1]},
    {"constants": {}},
    {"constants": [{"key": 5}]},
    {"forcedConstants": ["a"]},
    {"forcedNetworkRules": "a"},
    {"tags": 5},
    {"tags": [None]},
    {"labels": ["a"]},
    {"resourceBuckets": [5]},
    {"advancedResourceBuckets": [{"bucketName": "a", "filtering": "b"}]},
    {"advancedResourceBuckets": [{"bucketName": "a", "filtering": {"prefixFiltering": {"prefix": 5}}}]},
    {"completionTimeToLive": 5},
    {"schedulingType": True},
    {"autoDeleteOnCompletion": "yes"},
    {"privileges": 5},
    {"secretsAccessRights": 5},
    {"secretsAccessRights": {"bySecret": 5}},
    {"secretsAccessRights": {"bySecret": ["a"]}},
    {"hardwareConstraints": ["a"]},
    {"instanceCount": "three"},
    {"instanceCount": True},
]
TASKS: list[dict[str, Any]] = [
    {"dependencies": 5},
    {"dependencies": {"dependsOn": 5}},
    {"dependencies": {"dependsOn": [{}]}},
    {"dependencies": {"dependsOn": ["{task}"], "advancedDependsOn": ["x"]}},
    {"dependencies": {"advancedDependsOn": [{"taskUuid": "{task}", "taskFinalStateCondition": 5}]}},
    {"advancedRanges": 5},
    {"retrySettings": "a"},
    {"retrySettings": {"maxTotalRetries": "a"}},
    {"maxRetriesPerInstance": "a"},
    {"maxTimeQueueSeconds": 1.5},
    {"resultBucket": 5},
    {"resultsBucket": 5},
    {"resultsWhitelist": []},
    {"poolUuid": {}},
    {"jobUuid": [1]},
]
POOLS: list[dict[str, Any]] = [
    {"scaling": 3},
    {"scaling": {"policies": ["a"]}},
    {"scaling": {"policies": [{"type": "Zzz"}]}},
    {"elasticProperty": 5},
    {"elasticProperty": {"minTotalSlots": "a"}},
    {"multiSlotsSettings": [1]},
    {"multiSlotsSettings": {"slotsPerNode": "a"}},
    {"defaultRetrySettings": [1]},
    {"preparationTask": "a"},
]
JOBS: list[dict[str, Any]] = [
    {"name": 5},
    {"tags": 5},
    {"poolUuid": {}},
    {"useDependencies": "yes"},
    {"maxWallTime": 5},
    {"completionTimeToLive": []},
]
CASES: list[tuple[str, Any]] = [("/tasks", TASK | wrong) for wrong in BOTH + TASKS]
# The first must not be started either.
CASES += [("/tasks", [TASK, wrong]) for wrong in (5, TASK | {"tags": 5}, TASK | {"resultsBucket": 5})]
CASES += [("/pools", POOL | wrong) for wrong in BOTH + POOLS]
CASES += [("/jobs", {"name": "x"} | wrong) for wrong in JOBS]
CASES += [(f"/{kind}/search", body) for kind in ("tasks", "pools") for body in ({"select": 5}, {"filter": 5})]
CASES += [("/tasks/search", {"filter": {"operator": "And", "filters": filters}}) for filters in (5, ["a"])]


class Http:
    """Asks one cluster, in which two tasks, a job and a pool stand already."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._url = cluster.cluster_url
        self._session = requests.Session()
        self._session.headers["Authorization"] = cluster.token
        self.pool = self.post("/pools", POOL).json()["uuid"]
        self.job = self.post("/jobs", {"name": "group", "useDependencies": True, "tags": ["a"]}).json()["uuid"]
        self.task = self.post("/tasks", TASK | {"jobUuid": self.job}).json()["uuid"]
        sleep = {"constants": [{"key": "DOCKER_CMD", "value": "sleep 600"}]}
        self.busy = self.post("/tasks", TASK | sleep).json()["uuid"]

    def post(self, path: str, body: Any, method: str = "POST") -> requests.Response:
        return self._session.request(method, self._url + path, json=body, timeout=10)

    def raw(self, path: str, body: str) -> requests.Response:
        return self._session.post(self._url + path, data=body, timeout=10)

    def own(self) -> list[Any]:
        """What its pool and its task have been told."""
        whole = [self.post(path, None, "GET").json() for path in (f"/pools/{self.pool}", f"/tasks/{self.task}")]
        return [(each["constants"], each["tags"], each["instanceCount"], each.get("scaling")) for each in whole]

    def lists(self) -> dict[str, int]:
        """How many each list holds; all of them must answer."""
        answers = {path: self._session.get(self._url + path, timeout=10) for path in ("/tasks", "/jobs", "/pools")}
        answers["/jobs?tag=a"] = self._session.get(f"{self._url}/jobs?tag=a", timeout=10)
        assert {answer.status_code for answer in answers.values()} == {200}, answers
        return {path: len(answer.json()) for path, answer in answers.items()}


@pytest.fixture(scope="module")
def http(cluster: LocalCluster) -> Http:
    return Http(cluster)


def refused(answer: requests.Response) -> bool:
    """In the form in which the cloud refuses a value of a wrong type (reference §1.4)."""
    return (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(("path", "body"), CASES, ids=str)
def test_a_value_of_a_wrong_type_is_refused_and_not_kept(http: Http, path: str, body: Any) -> None:
    before = http.lists()
    if isinstance(body, dict) and isinstance(body.get("dependencies"), dict):
        body = body | {"jobUuid": http.job, "dependencies": _named(body["dependencies"], http.task)}
    answer = http.post(path, body)
    assert refused(answer), answer.text
    assert http.lists() == before


def _named(value: Any, task: str) -> Any:
    """With the id of a task that there is, where the case asks for one."""
    if isinstance(value, dict):
        return {key: _named(item, task) for key, item in value.items()}
    return [_named(item, task) for item in value] if isinstance(value, list) else task if value == "{task}" else value


@pytest.mark.parametrize("change", [{"scaling": {"policies": ["a"]}}, {"elasticProperty": {"minTotalSlots": "a"}}])
def test_a_pool_is_not_changed_to_something_malformed(http: Http, change: Any) -> None:
    assert refused(http.post(f"/pools/{http.pool}", change, "PUT"))
    assert refused(http.post(f"/pools/{http.pool}/scaling", {"policies": ["a"]}, "PUT"))
    http.lists()


IMPOSSIBLE: list[dict[str, Any]] = [
    {"constants": [{"key": "A", "value": value}]} for value in (dict[str, str](), ["a"])
]
IMPOSSIBLE += [{"constants": [{"key": f"C{number}", "value": "x"} for number in range(152)]}]
IMPOSSIBLE += [{"tags": tags} for tags in (["x"] * 20, ["x" * 600])]
SIZES: list[dict[str, Any]] = [{"instanceCount": size} for size in (-5, 10**12)]
SIZES += [{"elasticProperty": {"minTotalSlots": -1}}, {"multiSlotsSettings": {"slotsPerNode": 10**12}}]
NAMES = ("../x", "a/b", "bad bucket", "ab", "x" * 64)
REFUSED: list[tuple[str, str, Any]] = [("POST", "/tasks", TASK | wrong) for wrong in IMPOSSIBLE]
NAMELESS = [{"forcedValue": "x"}, {"constantName": "a b"}, {"constantName": "a\0b", "forcedValue": "x"}]
REFUSED += [("POST", "/tasks", TASK | {"forcedConstants": [wrong]}) for wrong in NAMELESS]
REFUSED += [("POST", "/pools", POOL | wrong) for wrong in IMPOSSIBLE + SIZES]
REFUSED += [("PUT", path, wrong) for path in ("/tasks/{task}", "/pools/{pool}") for wrong in IMPOSSIBLE]
REFUSED += [("PUT", "/pools/{pool}", {"elasticProperty": {"minTotalSlots": 10**12}})]
REFUSED += [("POST", "/tasks", TASK | {field: name}) for field in ("resultBucket", "snapshotBucket") for name in NAMES]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED, ids=lambda value: str(value)[:80])
def test_what_cannot_be_is_refused_by_name_and_not_kept(http: Http, method: str, path: str, body: Any) -> None:
    before = http.lists(), http.own()
    answer = http.post(path.format(task=http.task, pool=http.pool), body, method)
    assert answer.status_code == 400
    wrong = {name for name in body if name in answer.json()["message"]} - TASK.keys()
    assert wrong or "instanceCount" in answer.json()["message"]
    assert (http.lists(), http.own()) == before


def test_updates_do_not_add_up_to_too_many_constants(http: Http) -> None:
    def put(letter: str) -> int:
        constants = [{"key": f"{letter}{number}", "value": number} for number in range(40)]
        return http.post(f"/pools/{http.pool}", {"constants": constants}, "PUT").status_code

    assert [put(letter) for letter in "ABA"] == [200, 400, 200]


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 900 + "1" + "}" * 900, "null", "1", '"a"'])
def test_what_is_no_object_or_nested_too_deep_is_refused(http: Http, text: str) -> None:
    assert refused(http.raw("/tasks", text))


def test_a_deep_filter_is_refused_and_a_usual_one_is_not(http: Http) -> None:
    leaf: Any = {"field": "Name", "operator": "Equal", "value": "x"}
    for depth, status in ((20, 200), (300, 400)):
        condition = leaf
        for _ in range(depth):
            condition = {"operator": "And", "filters": [condition]}
        assert http.post("/tasks/paginate", {"filter": condition}).status_code == status


def test_what_is_nowhere_is_said_in_the_platforms_form(http: Http) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PUT", "/tasks", 405), ("DELETE", "/info", 405)):
        answer = http.post(path, None, method)
        assert (answer.status_code, answer.json().keys()) == (status, {"message"})
    assert "POST" in http.post("/tasks/search", None, "GET").headers.get("allow", "POST")


@pytest.mark.parametrize("limit", ["²", "9" * 5000, "-1", "x"])
def test_a_page_of_hardware_has_any_limit(http: Http, limit: str) -> None:
    assert http.post(f"/hardware-constraints?limit={limit}&offset={limit}", None, "GET").status_code == 200


def test_each_of_many_has_its_own_answer(http: Http) -> None:
    before = http.lists()["/tasks"]
    answer = http.post("/tasks", [TASK, TASK | {"resultBucket": "../x"}, TASK | {"tags": ["x"] * 20}, TASK])
    assert [each["statusCode"] for each in answer.json()] == [200, 400, 400, 200]
    assert http.lists()["/tasks"] == before + 2


SNAPSHOTS: list[tuple[str, Any]] = [
    *(("/periodic", {"interval": interval}) for interval in ("abc", 1.5, True, 1e30, 10**30, -1, None)),
    *((path, {field: 5, "interval": 1}) for path in ("", "/periodic") for field in ("whitelist", "bucketPrefix")),
    *((path, {"bucket": name, "interval": 1}) for path in ("", "/periodic") for name in (["x"], "../x")),
    ("", {"blacklist": "("}),
]


@pytest.mark.parametrize(("path", "body"), SNAPSHOTS, ids=str)
def test_a_snapshot_that_cannot_be_is_refused(http: Http, path: str, body: Any) -> None:
    answer = http.post(f"/tasks/{http.busy}/snapshot{path}", {"bucket": "a-bucket"} | body)
    assert answer.status_code == 400
    if type(body.get("interval", 1)) is int:
        assert refused(answer) or "Invalid" in answer.json()["message"]
    elif body["interval"]:
        assert answer.json()["errors"].keys() == {"interval"}


@pytest.mark.parametrize("value", ["NaN", "1e999", r'"\ud800"'])
def test_what_no_answer_could_hold_is_refused(http: Http, value: str) -> None:
    body = '{"name": "x", "profile": "docker-batch", "hardwareConstraints": [{"discriminator": "x", "coreCount": %s}]}'
    assert refused(http.raw("/tasks", body % value))
    http.lists()


def test_a_time_beyond_all_dates_is_a_long_time(http: Http) -> None:
    """C#'s longest TimeSpan, for one: with a date that cannot be counted, the cluster would not start again."""
    assert http.post("/jobs", {"name": "x", "maxWallTime": "10675199.02:48:05.4775807"}).status_code == 200
    assert http.post("/tasks", TASK | {"maxTimeQueueSeconds": 10**30}).status_code == 400
    http.lists()


def test_nulls_and_unknown_fields_are_legal(http: Http) -> None:
    """As C# sends them: every field that there is, null where nothing was said (reference §2.2)."""
    nothing = dict.fromkeys({key for wrong in BOTH + TASKS + POOLS for key in wrong})
    more = {"constraints": 5, "retrySettings": {"maxTotalRetries": None, "new": "x"}, "uuid": 5}
    assert http.post("/tasks", nothing | TASK | more).status_code == 200
    assert http.post("/pools", nothing | POOL | more).status_code == 200
    assert http.post("/jobs", {"name": "x", "tags": None, "maxWallTime": None, "constants": 5}).status_code == 200
    deep: dict[str, Any] = {
        "secretsAccessRights": {"bySecret": None},
        "dependencies": {"dependsOn": None},
        "scaling": {"policies": None},
    }
    deep |= {"multiSlotsSettings": {"slotsPerNode": None}, "elasticProperty": {"rampResizeFactor": 0}}
    assert http.post("/tasks", TASK | deep).status_code == 200
    assert http.post("/pools", POOL | deep).status_code == 200
    http.lists()


def test_a_fault_of_the_cluster_is_answered_as_json(
    http: Http, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listing, "summary_of", lambda view: view["nothing"])
    answer = http.post("/tasks/summaries/paginate", {})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    assert "KeyError" in answer.json()["message"]
    assert "POST /tasks/summaries/paginate ended by a fault" in caplog.text
