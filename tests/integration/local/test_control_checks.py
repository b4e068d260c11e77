"""The control takes nothing that would break the cluster, and a test whose script is wrong is told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from qarnot_local import ControlError, LocalCluster

pytestmark = pytest.mark.slow


@pytest.fixture
def http(cluster: LocalCluster) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = cluster.token
        yield session


WRONG: list[tuple[str, Any]] = [
    *(
        ("refuse", body)
        for body in (list[str](), "x", dict[str, str](), {"seconds": "abc"}, {"seconds": True}, {"seconds": -1})
    ),
    *(("advance", {"seconds": seconds}) for seconds in (1e308, 1e12, -1, "abc", None, True)),
    *(("delay", {"route": "/info", "seconds": seconds}) for seconds in ("abc", None, 1e300)),
    ("delay", {"route": 5, "seconds": 1}),
    *(("setQuota", {"kind": "tasks", "value": value}) for value in ("abc", None, list[str](), -1, 1e300)),
    *(("failNext", {"status": status}) for status in ("503", 99, 1000, 503.5, True, 0)),
    *(("failNext", {"status": 500, "skip": skip}) for skip in ("a", -1, 1.5)),
    *(("failNext", {"status": 500, "times": times}) for times in ("a", 0)),
    *(("failNext", {"status": 500, "headers": given}) for given in (["a"], {"A": 5}, {"a b": "x"}, {"a": "x\r\ny"})),
    *(("failNext", {"status": 500, name: 5}) for name in ("path", "how", "code", "method", "route")),
    ("failNext", {"how": "reset", "afterBytes": "many"}),
    *(("hold", {"stage": stage}) for stage in (5, ["Submitted"], None)),
    ("preempt", {"task": 5, "instances": 5}),
]


def test_what_makes_no_sense_is_said_in_a_sentence_and_changes_nothing(
    cluster: LocalCluster, http: requests.Session
) -> None:
    control = cluster.control
    before = control.state() | {"now": ""}
    for verb, body in WRONG:
        known = {"method": "GET", "route": "/info"} if verb == "failNext" else {}
        given = known | body if isinstance(body, dict) else body
        answer = http.post(f"{cluster.cluster_url}/_control/{verb}", json=given, timeout=5)
        assert (answer.status_code, answer.json().keys()) == (400, {"message"}), (verb, body)
        assert control.state() | {"now": ""} == before, (verb, body)
        broken = http.post(f"{cluster.cluster_url}/_control/{verb}", data="{", timeout=5)
        assert (broken.status_code, "no JSON" in broken.json()["message"]) == (400, True)


def test_time_is_advanced_no_farther_than_there_are_dates() -> None:
    with LocalCluster() as cluster:
        for _ in range(2):
            cluster.control.advance(45 * 366 * 86400)
        with pytest.raises(ControlError, match="seconds is a number"):
            cluster.control.advance(45 * 366 * 86400)
        answer = requests.get(f"{cluster.cluster_url}/jobs", headers={"Authorization": cluster.token}, timeout=5)
        assert answer.status_code == 200
