"""One account on one cluster: what the engine needs of Qarnot, in our words. Everything here blocks.

The SDK carries the connection, the authentication and submission. Tasks are read from the wire's
JSON through its connection, because its own parsing raises on one unexpected null (§6.30) and some properties create
buckets when read (§6.17).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

import requests
from qarnot import hardware_constraint as hardware
from qarnot.bucket import Bucket
from qarnot.connection import Connection
from qarnot.scheduling_type import FlexScheduling, OnDemandScheduling, ReservedScheduling

from run_qarnot.cloud.connection import connect, storage_clients, twin
from run_qarnot.cloud.errors import check_answer, error_message, translated
from run_qarnot.cloud.models import AccountSnapshot, Machine, TaskSnapshot, read_buckets, read_machines, read_task
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import NotFoundError, RunQarnotError
from run_qarnot.model.plan import SAVES_TAG, TAG, TaskPlan
from run_qarnot.model.settings import Settings

_PAGE = 100
_CLOCK_TOLERANCE = timedelta(seconds=30)

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

log = logging.getLogger(__name__)


class BucketUser(NamedTuple):
    """A task or pool, and the buckets that it reads or writes."""

    id: str
    name: str
    state: str  # the cluster's word
    buckets: set[str]


class Cloud:
    """A connection to one account, which several threads may use."""

    def __init__(self, settings: Settings, token: str) -> None:
        """Connect, and have the token checked.

        Raises:
            RefusedError: the token is not accepted.
            UnreachableError: nobody answers, or not Qarnot; within five seconds.
        """
        self.address = settings.cluster_url
        self._of_thread = threading.local()
        with self._translated():
            self._first = self._of_thread.connection = connect(settings, token)
            info = self._connection._get("/info")
            self.email = str(info.json()["email"])
            self.clock_offset = _clock_offset(info)
            calls, transfers = storage_clients(self._connection, self.email, token, self.clock_offset)
        self.storage = Storage(transfers, self.address, calls=calls)

    # — account —

    def account(self) -> AccountSnapshot:
        """Ask who we are, what runs, and what is left. What the platform does not say is None."""
        info = self._json("GET", "/info")
        credits_left = None
        with contextlib.suppress(RunQarnotError):  # not every account may see its credits
            credits_left = _number(self._json("GET", "/credits/v1/accounts/credits").get("credits"))
        return AccountSnapshot(
            email=str(info.get("email") or self.email),
            running=info.get("runningTaskCount"),
            max_running=info.get("maxRunningTask"),
            credits=credits_left,
        )

    def profiles(self) -> list[str]:
        """Return the names of the profiles that the account has."""
        return [str(name) for name in self._json("GET", "/profiles") or []]

    def profile_constants(self, profile: str) -> list[str]:
        """Return the names of the constants that a profile knows.

        Raises:
            NotFoundError: the account has no such profile.
        """
        details = self._json("GET", f"/profiles/{quote(profile, safe='')}", name=profile)
        return [str(constant.get("name")) for constant in details.get("constants") or []]

    def machines(self) -> list[Machine]:
        """Return the machines that the account may ask for."""
        found: list[Mapping[str, Any]] = []
        while True:
            page = self._json("GET", f"/hardware-constraints?limit={_PAGE}&offset={len(found)}")
            found.extend(new := page.get("data") or [])
            if not new or len(found) >= int(page.get("total") or 0):
                return read_machines(found)

    # — tasks —

    def tasks(self) -> list[TaskSnapshot]:
        """Return all tasks that this product started on the account, the newest first."""
        found = map(read_task, self._paginate("/tasks/paginate", _equal("Tags", TAG)))
        return sorted(found, key=lambda task: task.created.timestamp() if task.created else 0.0, reverse=True)

    def bucket_users(self) -> list[BucketUser]:
        """Return all tasks and pools of the account, whoever started them, also ended ones."""
        found = [*self._paginate("/tasks/paginate"), *self._paginate("/pools/paginate")]
        return [
            BucketUser(str(user.get("uuid")), str(user.get("name")), str(user.get("state")), read_buckets(user))
            for user in found
        ]

    def _paginate(self, path: str, wanted: Mapping[str, str] | None = None) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        page: str | None = None
        while True:
            answer = self._json("POST", path, {"filter": wanted, "token": page, "maximumResults": _PAGE})
            found.extend(answer.get("data") or [])
            page = answer.get("nextToken")
            if not (answer.get("isTruncated") and page):
                return found

    def task(self, task_id: str, name: str = "") -> TaskSnapshot:
        """Look at a task, by its id or its launch id.

        Raises:
            NotFoundError: it is not there (any more).
        """
        return read_task(self._json("GET", f"/tasks/{quote(task_id, safe='')}", name=name or task_id))

    def make_job(self, plan: TaskPlan) -> str:
        """Make the job that limits the time; return its id. One that exists for the launch already is taken."""
        shortname = f"{plan.launch_id}-limit"
        found = self._json("POST", "/jobs/search", {"filter": _equal("Shortname", shortname), "maximumResults": 10})
        for job in found or []:
            if job.get("shortname") == shortname:
                return str(job["uuid"])
        with self._translated():
            job = self._connection.create_job(plan.name, shortname=shortname)
            job.max_wall_time = plan.time_limit
            job.tags = list(plan.tags)
            job.auto_delete = True
        return str(self._json("POST", "/jobs/", job._to_json())["uuid"])

    def drop_job(self, job_id: str) -> None:
        """Delete a job in which nothing was started. That it stays is no harm: it is empty."""
        with contextlib.suppress(RunQarnotError):
            self._call("DELETE", f"/jobs/{quote(job_id, safe='')}?force=true")

    def make_task(self, plan: TaskPlan, job_id: str) -> TaskSnapshot:
        """Make the task in its job. The buckets must exist.

        May be repeated: the launch id is looked up first, so that an answer that got lost makes no second task.
        """
        with contextlib.suppress(NotFoundError):
            return self.task(plan.launch_id, plan.name)
        with self._translated():
            body = self._task_of(plan, job_id)._to_json()
        return self.task(str(self._json("POST", "/tasks", body)["uuid"]), plan.name)

    def snapshot_every(self, task: TaskSnapshot, seconds: int) -> None:
        """Have the results saved again and again while the task runs."""
        path = f"/tasks/{quote(task.id, safe='')}/snapshot/periodic"
        check_answer(self._call("POST", path, {"interval": seconds}), self.address, task.name)

    def abort(self, task: TaskSnapshot) -> None:
        """End a task. One that is over already is left as it is."""
        response = self._call("POST", f"/tasks/{quote(task.id, safe='')}/abort")
        over = response.status_code == requests.codes.forbidden and "abort" in error_message(response).lower()
        if not over:  # else "Can't abort the task": it is over, or not there yet
            check_answer(response, self.address, task.name)

    def close_job(self, task: TaskSnapshot) -> None:
        """Terminate the job that held the task, so that it does not count against the account's quota."""
        if task.job is not None:
            self._call("POST", f"/jobs/{quote(task.job, safe='')}/terminate")

    def refresh_resources(self, task: TaskSnapshot) -> None:
        """Have new objects of the input buckets sent to the running machine."""
        check_answer(self._call("PATCH", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def delete(self, task: TaskSnapshot) -> None:
        """Forget a task. Its buckets stay."""
        check_answer(self._call("DELETE", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def output(self, task_id: str) -> str:
        """Return what the container printed so far, as far as it is kept: standard output, then errors."""
        return "".join(self.streams(task_id))

    def streams(self, task_id: str) -> tuple[str, str]:
        """Return what stands on standard output and on standard error so far (GET moves no cursor, §2.5)."""
        path = f"/tasks/{quote(task_id, safe='')}"
        output, errors = self._call("GET", f"{path}/stdout"), self._call("GET", f"{path}/stderr")
        check_answer(output, self.address, task_id)
        output.encoding = errors.encoding = "utf-8"
        return output.text, errors.text if errors.ok else ""

    # — snapshots —

    def snapshot(self, task: TaskSnapshot) -> str:
        """Ask for a snapshot; return its id."""
        body: dict[str, Any] = {"whitelist": None, "blacklist": None, "bucket": None, "bucketPrefix": None}
        return str(self._json("POST", f"/tasks/{quote(task.id, safe='')}/snapshot", body, task.name).get("id"))

    def snapshot_status(self, task: TaskSnapshot, snapshot_id: str) -> str:
        """Return the status of a snapshot in small letters: triggered, inprogress, success, failure."""
        path = f"/tasks/{quote(task.id, safe='')}/snapshot/{quote(snapshot_id, safe='')}"
        return str(self._json("GET", path, name=task.name).get("status") or "triggered").lower()

    # — cost —

    def cost(self, task_id: str) -> float | None:
        """Return the euros that a task has cost so far, if the platform says."""
        with contextlib.suppress(RunQarnotError):
            return _number(self._json("GET", f"/credits/v1/tasks/{quote(task_id, safe='')}/credits").get("credits"))
        return None

    def carbon(self, task_id: str) -> float | None:
        """Return the grams of CO2e that a task has caused so far, if the platform says."""
        with contextlib.suppress(RunQarnotError):
            facts = self._json("GET", f"/carbon/v1/tasks/{quote(task_id, safe='')}/carbon-facts")
            return _number(facts.get("qarnot_carbon_footprint", facts.get("carbonFootprintC02Eq")))
        return None

    # — inner —

    @property
    def _connection(self) -> Connection:
        """That of the present thread."""
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = twin(self._first)
        connection: Connection = self._of_thread.connection
        return connection

    def _task_of(self, plan: TaskPlan, job_id: str) -> Any:
        """The SDK knows the task's form. It is sent by us: of a 503 the SDK keeps nothing but its words."""
        task = self._connection.create_task(plan.name, plan.profile, plan.instances, plan.launch_id)
        task._job_uuid = job_id
        # The results come last, so that after a preemption the next machine begins with what was saved: it gets the
        # resources and nothing else (§3.3), and of files with one path the last bucket's win.
        task.resources = [self._bucket(name) for name in (*plan.resources, plan.results)]
        task.results = self._bucket(plan.results)
        task.constants = dict(plan.constants)
        task.labels = dict(plan.labels)
        task.tags = [*plan.tags, f"{SAVES_TAG}{plan.snapshot_seconds}"]
        task.upload_results_on_cancellation = True
        task.hardware_constraints = list(_hardware_constraints(plan.hardware))
        if plan.scheduling:
            task.scheduling_type = _SCHEDULING[plan.scheduling]()
        return task

    def _bucket(self, name: str) -> Bucket:
        return Bucket(self._connection, name, create=False)

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None, name: str = "") -> Any:
        response = self._call(method, path, body)
        check_answer(response, self.address, name)
        with self._translated():
            answer = response.json()
            return {} if answer is None else answer

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        verbs = {
            "GET": self._connection._get,
            "POST": partial(self._connection._post, json=body),
            "PATCH": self._connection._patch,
            "DELETE": self._connection._delete,
        }
        with self._translated():  # with no retries left the SDK hands out even a 503 as an ordinary answer
            response: requests.Response = verbs[method](path)
        if not response.ok:
            log.debug("%s %s: %s %s", method, path, response.status_code, error_message(response))
        return response

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return translated(self.address)


def _hardware_constraints(wanted: Mapping[str, str | int | float | bool]) -> Iterable[Any]:
    for name, value in wanted.items():
        constraint = _HARDWARE[name]
        if value is True:
            yield constraint()
        elif value is not False:
            yield constraint(value)


def _equal(field: str, value: str) -> dict[str, str]:
    return {"operator": "Equal", "field": field, "value": value}


def first_profile(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """Return those of `wanted` that are available, in the order of preference."""
    return [name for name in wanted if name in set(available)]


def _clock_offset(response: requests.Response) -> timedelta:
    """How far the cluster's clock is ahead of this machine's; small differences are the network's."""
    try:
        theirs = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return timedelta()
    offset = theirs - datetime.now(UTC)
    return offset if abs(offset) > _CLOCK_TOLERANCE else timedelta()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
