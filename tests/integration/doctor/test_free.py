"""The questions that cost nothing: an untroubled cluster is as expected, and every scripted deviation is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.doctor import buckets, differing, examine

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.doctor.question import Verdict

pytestmark = pytest.mark.slow


def test_the_local_cluster_is_as_expected_and_nothing_is_left(cluster: LocalCluster) -> None:
    report = examine(cluster)
    assert differing(report) == {}
    assert report.is_expected
    assert {each.verdict for each in report.findings} == {Verdict.EXPECTED}
    assert buckets(cluster) == 0
    assert cluster.control.count("POST", "/tasks") == 0, "nothing was started"


def _say(route: str, body: object, status: int = 200) -> Callable[[Control], None]:
    return lambda control: control.fail_next("GET", route, status=status, body=body, times=None)


DEVIATIONS: dict[str, tuple[Callable[[Control], None], set[str]]] = {
    "another version of the API": (_say("/versions", [{"version": "v2"}]), {"A1"}),
    "a version with an end": (_say("/versions", [{"version": "v1", "endOfLife": "2027-01-01"}]), {"A1"}),
    "no storage": (_say("/settings", {"storage": None}), {"A2"}),
    "no profile for the notebooks": (_say("/profiles", ["docker-batch"]), {"A13", "C-lab"}),
    "a profile that is listed only": (_say("/profiles/jupyterlab", {"message": "No such profile"}, 404), {"C-lab"}),
    "a profile without keys": (
        _say("/profiles/jupyterlab", {"name": "jupyterlab", "constants": [{"name": "DOCKER_REPO", "value": ""}]}),
        {"C-lab"},
    ),
    "no page of machines": (_say("/hardware-constraints", {"data": [{"discriminator": "NewConstraint"}]}), {"A8"}),
    "no credits": (lambda control: control.set_quota("credits", 0), {"A6"}),
    "no more tasks": (lambda control: control.full_quota("tasks"), {"A5"}),
    "no more buckets": (
        lambda control: control.full_quota("buckets"),
        {"A5", *(f"S{number}" for number in range(1, 20) if number not in {12, 13})},
    ),
    "conditions are ignored": (lambda control: control.ignore_header("If-None-Match"), {"S2"}),
    "conditions are refused": (
        lambda control: control.fail_next(
            "PUT", "s3:PutObject", code="NotImplemented", only_with="If-None-Match", times=None
        ),
        {"S2"},
    ),
    "no rules for browsers": (
        lambda control: control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None), {"S15"},
    ),
    "no parts": (
        lambda control: control.fail_next("POST", "s3:CreateMultipartUpload", code="AccessDenied", times=None),
        {"S4", "S5", "S6", "S7", "S8", "S9", "S15"},
    ),
    "no tags": (lambda control: control.fail_next("PUT", "s3:PutBucketTagging", status=501, times=None), {"S1"}),
    "no ranges": (lambda control: control.ignore_header("Range"), {"S16"}),
}  # fmt: skip


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation_is_found(name: str, cluster: LocalCluster) -> None:
    script, found = DEVIATIONS[name]
    script(cluster.control)
    report = examine(cluster)
    assert set(differing(report)) == found
    assert not report.is_expected
    cluster.control.reset()
    assert buckets(cluster) == 0


def test_a_clock_that_is_ahead_is_found() -> None:
    """On a cluster of its own: nothing moves a clock back. The local storage has this machine's."""
    with LocalCluster() as cluster:
        cluster.control.advance(600)
        assert set(differing(examine(cluster))) == {"N1", "N2"}
