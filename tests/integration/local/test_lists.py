"""Pages, orders, filters and selections of lists."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.exceptions import MissingTaskException
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

Ask = Callable[..., requests.Response]
NAMES = [f"listed-{number}" for number in range(5)]


@pytest.fixture
def ask(cluster: LocalCluster) -> Iterator[Ask]:
    with requests.Session() as session:
        session.headers["Authorization"] = cluster.token
        yield lambda path, body: session.post(cluster.cluster_url + path, json=body, timeout=10)


@pytest.fixture
def listed(cluster: LocalCluster, connection: Connection) -> Iterator[Callable[[str], Any]]:
    """Five tasks that wait, and a way to make more of them."""
    cluster.control.hold("Submitted")

    def make(name: str) -> Any:
        task = connection.create_task(name, "docker-batch", 1 + len(name.split("-")[-1]))
        task.tags = ["paged"]
        task.submit()
        return task

    for name in NAMES:
        make(name)
    yield make
    for task in connection.all_tasks():
        with contextlib.suppress(MissingTaskException):  # gone by itself
            task.delete()
    cluster.control.release()


def test_deleting_what_a_page_has_leaves_none_out(connection: Connection, listed: Any) -> None:
    deleted = []
    token, is_truncated = None, True
    while is_truncated:
        page = connection.tasks_page(token=token, maximum=2)
        for task in page.page_data:
            task.delete()
            deleted.append(task.name)
        token, is_truncated = page.next_token, page.is_truncated
    assert deleted == NAMES[::-1]
    wait_until(lambda: not list(connection.all_tasks()), "all of them are gone")


@pytest.mark.parametrize("order", [{}, {"orderBy": "Name"}, {"orderBy": "State", "orderType": "DESC"}])
def test_a_task_that_comes_between_two_pages_repeats_none(ask: Ask, listed: Any, order: dict[str, str]) -> None:
    first = ask("/tasks/summaries/paginate", {"maximumResults": 2, **order}).json()
    listed("a-new-one")
    rest = ask("/tasks/paginate", {"token": first["nextToken"], **order}).json()
    names = [each["name"] for each in first["data"] + rest["data"]]
    assert sorted(names) == NAMES
    assert (rest["isTruncated"], rest["nextToken"], rest["total"]) == (False, None, 6)


@pytest.mark.parametrize("token", ["²", "1" * 5000, "WzFd", "W1sx", 5, "[[" * 9000])
def test_a_token_that_is_none_is_refused(ask: Ask, token: Any) -> None:
    answer = ask("/tasks/paginate", {"token": token})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["errors"].keys() == {"token"}


def test_numbers_and_dates_are_ordered_and_compared_as_such(ask: Ask, listed: Any) -> None:
    listed("many-123456789")

    def found(field: str, operator: str, value: Any) -> int:
        leaf = {"field": field, "operator": operator, "value": value}
        return len(ask("/tasks/search", {"filter": leaf}).json())

    ordered = ask("/tasks/paginate", {"orderBy": "InstanceCount"}).json()["data"]
    assert [task["instanceCount"] for task in ordered] == [2, 2, 2, 2, 2, 10]
    date = ordered[0]["creationDate"]
    for same in (date, date.replace("Z", ".000Z"), date.replace("Z", "+00:00"), date[:-1], date.replace("T", " ")):
        assert found("CreationDate", "LessThan", same) == 0
        assert found("CreationDate", "GreaterThanOrEqual", same) == 6
        assert found("CreationDate", "Equal", same) >= 1
    assert found("CreationDate", "GreaterThan", date.replace("Z", "-14:00")) == 0
    assert found("CompletionTimeToLive", "LessThan", "1.00:00:00") == 6
    assert found("CompletionTimeToLive", "Equal", "0.00:00:00.0000000") == 6
    assert found("Profile", "GreaterThan", 5) == found("Shortname.Nothing", "LessThan", "x") == 0


def test_a_field_within_a_field_is_named_by_its_path(ask: Ask, listed: Any) -> None:
    pool = {"name": "elastic", "profile": "docker-batch", "elasticProperty": {"isElastic": True}, "tags": ["dotted"]}
    for body in (pool, pool | {"name": "rigid", "elasticProperty": {}}):
        assert ask("/pools", body).ok
    elastic = {"field": "ElasticProperty.IsElastic", "operator": "Equal", "value": True}
    select = {"fields": ["Name", "ElasticProperty.IsElastic", "Elasticproperty.MinTotalSlots", "No.Thing", "Name.x"]}
    assert ask("/pools/search", {"filter": elastic, "select": select}).json() == [
        {"name": "elastic", "elasticProperty": {"isElastic": True, "minTotalSlots": 0}}
    ]
    depends = {"field": "Dependencies.DependsOn", "operator": "Equal", "value": "nobody"}
    assert ask("/tasks/search", {"filter": depends}).json() == []
