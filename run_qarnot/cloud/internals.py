"""The only module that uses private parts of the SDK and of botocore. A test names each that an upgrade removes.

The SDK's `Connection` reads the environment, makes requests and clients for the storage when it is made, sleeps between
attempts, and has no time-outs (`reference/qarnot-platform.md` §1.1, §6). So only its forms are used: what a task and a
job look like on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.client import BaseClient
from qarnot import hardware_constraint as hardware
from qarnot.bucket import Bucket
from qarnot.connection import Connection
from qarnot.job import Job
from qarnot.scheduling_type import FlexScheduling, OnDemandScheduling, ReservedScheduling
from qarnot.task import Task

from run_qarnot.cloud.limits import Deadline, LimitedBody, WatchedBody, watched, watching

_SCHEDULING = {"flex": FlexScheduling, "on-demand": OnDemandScheduling, "reserved": ReservedScheduling}
_HARDWARE = {
    "minimum_cores": hardware.MinimumCoreHardware,
    "maximum_cores": hardware.MaximumCoreHardware,
    "minimum_ram_mb": hardware.MinimumRamHardware,
    "maximum_ram_mb": hardware.MaximumRamHardware,
    "specification": hardware.SpecificHardware,
    "cpu_model": hardware.CpuModelHardware,
    "gpu": hardware.GpuHardware,
    "ssd": hardware.SSDHardware,
}
MOST_BYTES = 32 << 20  # of an answer of the storage that is no file; a list of 1000 files has at most 4 MB


class _Forms(Connection):  # type: ignore[misc]  # the SDK has no types
    """A connection that sends no request."""

    def __init__(self) -> None:
        self._s3client = self._s3resource = "none is needed for a form"
        self._sanitize_bucket_paths = self._show_bucket_warnings = False


def job_form(name: str, shortname: str, limit: timedelta, tags: list[str]) -> Mapping[str, Any]:
    """Return the JSON of a job, which ends its tasks after `limit` and is deleted with them."""
    job = Job(_Forms(), name, shortname=shortname)
    job.max_wall_time = limit
    job.tags = tags
    job.auto_delete = True
    form: Mapping[str, Any] = job._to_json()
    return form


def task_form(
    name: str, profile: str, instances: int, shortname: str, job_id: str, *,
    resources: list[str], results: str, constants: Mapping[str, str], labels: Mapping[str, str], tags: list[str],
    constraints: Mapping[str, str | int | float | bool], scheduling: str, upload_on_cancel: bool = True,
) -> Mapping[str, Any]:  # fmt: skip
    """Return the JSON of a task.

    Arguments:
        resources: buckets; of files with one path the last bucket's win (§3.3).
        constraints: of the machine, as a catalog names them.
        scheduling: one of `spec.SCHEDULING`; empty for the account's default.
        upload_on_cancel: what it has made is uploaded also when it is cancelled.
    """
    forms = _Forms()
    task = Task(forms, name, profile, instances, shortname)
    task._job_uuid = job_id
    task.resources = [Bucket(forms, bucket, create=False) for bucket in resources]
    task.results = Bucket(forms, results, create=False)
    task.constants = dict(constants)
    task.labels = dict(labels)
    task.tags = tags
    if upload_on_cancel:
        task.upload_results_on_cancellation = True
    task.hardware_constraints = [
        _HARDWARE[each]() if value is True else _HARDWARE[each](value)
        for each, value in constraints.items()
        if value is not False
    ]
    if scheduling:
        task.scheduling_type = _SCHEDULING[scheduling]()
    form: Mapping[str, Any] = task._to_json()
    return form


class _LimitedStorageSession:
    """Sends the requests of a client of botocore, in place of its own session.

    Arguments:
        inner: that one.
        seconds: for an answer; for a file, for each piece that is read.
        from_sending: the time starts when the request was sent.
    """

    def __init__(self, inner: Any, seconds: float, *, from_sending: bool) -> None:
        self._inner = inner
        self._seconds = seconds
        self._from_sending = from_sending
        pools = {scheme: watched(pool) for scheme, pool in inner._pool_classes_by_scheme.items()}
        inner._pool_classes_by_scheme = inner._manager.pool_classes_by_scheme = pools

    def send(self, request: Any) -> Any:
        deadline = Deadline(self._seconds, from_sending=self._from_sending)
        is_file, request.stream_output = request.stream_output, True  # all other answers are read here
        with watching(deadline):
            response = self._inner.send(request)
            if is_file and response.status_code < 300:
                response.raw = WatchedBody(response.raw, deadline)
                return response
            response.raw = LimitedBody(response.raw, MOST_BYTES)
            _ = response.content
        return response

    def close(self) -> None:
        self._inner.close()


def limit_answers(client: BaseClient, seconds: float, *, from_sending: bool = False) -> None:
    """Limit the time and the size of the answers to a client of botocore.

    Arguments:
        seconds: for an answer, or for each piece of a file.
        from_sending: the time starts when the request was sent, because it may be large.
    """
    endpoint = client._endpoint  # type: ignore[attr-defined]  # private: not in the stubs
    endpoint.http_session = _LimitedStorageSession(endpoint.http_session, seconds, from_sending=from_sending)
