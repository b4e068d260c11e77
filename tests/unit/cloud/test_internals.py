"""What is private in the SDK and in botocore, and used all the same: whoever upgrades them sees here what has gone."""

from __future__ import annotations

import ast
from datetime import timedelta
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.httpsession
import botocore.session
import pytest
import urllib3
from qarnot.connection import Connection
from qarnot.job import Job
from qarnot.task import Task
from requests.adapters import HTTPAdapter
from support.repository import PACKAGE

from qarnot_local import LocalCluster
from run_qarnot.cloud.connection import storage_clients
from run_qarnot.cloud.internals import _Forms, job_form, task_form

USED_OF_A_CONNECTION = {"_s3client", "_s3resource", "_sanitize_bucket_paths", "_show_bucket_warnings"}
ALLOWED = {"internals"}
OVERRIDDEN = {"signing": {"_modify_request_before_signing"}, "limits": {"_tunnel"}}


@pytest.fixture(scope="module")
def connection() -> Any:
    """One of the SDK's own, which everything is compared with."""
    with LocalCluster() as cluster:
        yield Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, storage_url=cluster.storage_url)


def test_a_connection_has_them(connection: Connection) -> None:
    assert set(vars(connection)) >= USED_OF_A_CONNECTION == set(vars(_Forms()))


def test_a_task_looks_as_the_sdk_makes_it(connection: Connection) -> None:
    task = connection.create_task("name", "docker-batch", 1, "short")
    assert {"_job_uuid", "_connection"} <= set(vars(task))
    assert callable(Task._to_json)
    task.constants, task.labels, task.tags = {"A": "b"}, {"c": "d"}, ["e"]
    task.upload_results_on_cancellation = True
    task._job_uuid = "job"
    task.resources = [connection.create_bucket("the-in")]
    task.results = connection.create_bucket("the-out")
    ours = task_form(
        "name", "docker-batch", 1, "short", "job", resources=["the-in"], results="the-out", constants={"A": "b"},
        labels={"c": "d"}, tags=["e"], constraints={}, scheduling="",
    )  # fmt: skip
    assert ours == task._to_json()


def test_a_job_looks_as_the_sdk_makes_it(connection: Connection) -> None:
    job = connection.create_job("name", shortname="short")
    assert callable(Job._to_json)
    job.max_wall_time, job.tags, job.auto_delete = timedelta(hours=1), ["e"], True
    assert job_form("name", "short", timedelta(hours=1), ["e"]) == job._to_json()


def test_constraints_and_scheduling_have_a_form() -> None:
    form = task_form(
        "name", "docker-batch", 1, "short", "job", resources=[], results="out", constants={}, labels={}, tags=[],
        constraints={"minimum_cores": 4, "ssd": True, "gpu": False}, scheduling="flex",
    )  # fmt: skip
    assert [each["discriminator"] for each in form["hardwareConstraints"]] == [
        "MinimumCoreHardwareConstraint",
        "SSDHardwareConstraint",
    ]
    assert form["schedulingType"] == "Flex"


def test_botocore_has_them() -> None:
    calls, _ = storage_clients("http://127.0.0.1:1", "a@b.example", "token", timedelta())
    endpoint: Any = calls._endpoint  # type: ignore[attr-defined]  # private: not in the stubs
    inner = endpoint.http_session._inner
    assert isinstance(inner, botocore.httpsession.URLLib3Session)
    manager, pool_classes = inner._manager, inner._pool_classes_by_scheme  # type: ignore[attr-defined]
    pools = manager.pool_classes_by_scheme
    assert pools == pool_classes
    assert issubclass(pools["https"], botocore.awsrequest.AWSHTTPSConnectionPool)
    assert issubclass(pools["https"].ConnectionCls, botocore.awsrequest.AWSHTTPSConnection)
    assert callable(botocore.auth.SigV4Auth._modify_request_before_signing)  # type: ignore[attr-defined]
    assert {"config_file", "credentials_file", "profile", "region"} <= set(botocore.session.Session.SESSION_VARIABLES)
    assert callable(urllib3.connection.HTTPConnection._tunnel)
    assert callable(HTTPAdapter.init_poolmanager)


@pytest.mark.parametrize("path", sorted((PACKAGE / "cloud").rglob("*.py")), ids=lambda path: path.stem)
def test_no_other_module_uses_what_is_private(path: Any) -> None:
    """An underscore behind anything but `self`, `cls`, `super()` and what this module made is somebody else's."""
    if path.stem in ALLOWED:
        return
    tree = ast.parse(path.read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if ast.unparse(node.value) == "self"}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    used = {node.attr for node in attributes if node.attr.startswith("_") and not node.attr.startswith("__")}
    assert used - own - OVERRIDDEN.get(path.stem, set()) == set()
