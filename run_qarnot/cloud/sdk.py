"""One account on one cluster: what the engine needs of Qarnot, in our words. Everything here blocks.

The SDK carries the connection, the authentication, submission and the storage client. Tasks are read from the wire's
JSON through its connection, because its own parsing raises on one unexpected null (§6.30) and some properties create
buckets when read (§6.17).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import requests
from qarnot import hardware_constraint as hardware
from qarnot.bucket import Bucket
from qarnot.connection import Connection
from qarnot.scheduling_type import FlexScheduling, OnDemandScheduling, ReservedScheduling

from run_qarnot.cloud.facts import AccountFacts, TaskFacts, read_task
from run_qarnot.cloud.storage import Storage
from run_qarnot.cloud.translate import check_answer, error_message, translated
from run_qarnot.errors import NotFoundError, RunQarnotError
from run_qarnot.plan import TAG, TaskPlan
from run_qarnot.settings import Settings

FIRST_TIMEOUT = (2.0, 4.0)  # seconds to connect, to answer: "not there" is said within five seconds
TIMEOUT = (4.0, 30.0)  # once it has answered, a slow cluster is given time
_PAGE = 100

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


class Cloud:
    """A connection to one account. Not for several threads at once, but for `storage`."""

    def __init__(self, settings: Settings, token: str) -> None:
        """Connect, and have the token checked.

        Raises:
            RefusedError: the token is not accepted.
            UnreachableError: nobody answers, or not Qarnot; within five seconds.
        """
        self.address = settings.cluster_url
        with self._translated():
            self._connection = Connection(
                client_token=token,
                cluster_url=settings.cluster_url,
                storage_url=settings.storage_url,
                cluster_unsafe=settings.cluster_unsafe,
                cluster_timeout=FIRST_TIMEOUT,  # requests takes pairs, and the SDK passes it on
                retry_count=0,  # the SDK's own retries sleep up to 31 s, uninterruptible (§6.5)
                show_bucket_warnings=False,
                logger=log,  # the SDK's default prints to our stdout (§6.25)
            )
            self.email = str(self._connection.user_info.email)
        self._connection.timeout = TIMEOUT
        self.storage = Storage(self._connection.s3client, self.address)

    # — account —

    def account(self) -> AccountFacts:
        """Ask who we are, what runs, and what is left. What the platform does not say is None."""
        info = self._json("GET", "/info")
        credits_left = None
        with contextlib.suppress(RunQarnotError):  # not every account may see its credits
            credits_left = _number(self._json("GET", "/credits/v1/accounts/credits").get("credits"))
        return AccountFacts(
            email=str(info.get("email") or self.email),
            running=info.get("runningTaskCount"),
            max_running=info.get("maxRunningTask"),
            credits=credits_left,
        )

    def profiles(self) -> list[str]:
        """Return the names of the profiles that the account has."""
        return [str(name) for name in self._json("GET", "/profiles") or []]

    # — tasks —

    def tasks(self) -> list[TaskFacts]:
        """Return all tasks that this product started on the account, the newest first."""
        found: list[TaskFacts] = []
        page: str | None = None
        while True:
            body = {
                "filter": {"operator": "Equal", "field": "Tags", "value": TAG},
                "token": page,
                "maximumResults": _PAGE,
            }
            answer = self._json("POST", "/tasks/paginate", body)
            found.extend(map(read_task, answer.get("data") or []))
            page = answer.get("nextToken")
            if not (answer.get("isTruncated") and page):
                break
        return sorted(found, key=lambda task: task.created.timestamp() if task.created else 0.0, reverse=True)

    def task(self, task_id: str, name: str = "") -> TaskFacts:
        """Look at a task, by its id or its launch id.

        Raises:
            NotFoundError: it is not there (any more).
        """
        return read_task(self._json("GET", f"/tasks/{quote(task_id, safe='')}", name=name or task_id))

    def submit(self, plan: TaskPlan) -> TaskFacts:
        """Make the job that limits the time, and the task in it. The buckets must exist.

        An answer that gets lost makes no second task: the launch id is looked up before anything is repeated.
        """
        with self._translated():
            job = self._connection.create_job(plan.name, shortname=f"{plan.launch_id}-limit")
            job.max_wall_time = plan.time_limit
            job.tags = list(plan.tags)
            job.auto_delete = True
            job.submit()
        try:
            with self._translated():
                self._task_of(plan, job).submit()
        except RunQarnotError:
            facts = self._submitted_after_all(plan.launch_id)
            if facts is None:
                with contextlib.suppress(Exception):  # an empty job is harmless; the first error is what counts
                    job.delete(forceAbort=True)
                raise
            self._snapshot_every(facts.id, plan.snapshot_seconds)  # the SDK asks for it after submission (§2.2)
            return facts
        return self.task(plan.launch_id, plan.name)

    def abort(self, task: TaskFacts) -> None:
        """End a task. One that is over already is left as it is."""
        response = self._call("POST", f"/tasks/{quote(task.id, safe='')}/abort")
        if response.status_code != requests.codes.forbidden:  # "Can't abort the task": it is over
            check_answer(response, self.address, task.name)

    def close_job(self, task: TaskFacts) -> None:
        """Terminate the job that held the task, so that it does not count against the account's quota."""
        if task.job is not None:
            self._call("POST", f"/jobs/{quote(task.job, safe='')}/terminate")

    def refresh_resources(self, task: TaskFacts) -> None:
        """Have new objects of the input buckets sent to the running machine."""
        check_answer(self._call("PATCH", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def delete(self, task: TaskFacts) -> None:
        """Forget a task. Its buckets stay."""
        check_answer(self._call("DELETE", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def output(self, task_id: str) -> str:
        """Return what the container printed so far, as far as it is kept (GET moves no cursor, §2.5)."""
        response = self._call("GET", f"/tasks/{quote(task_id, safe='')}/stdout")
        check_answer(response, self.address, task_id)
        errors = self._call("GET", f"/tasks/{quote(task_id, safe='')}/stderr")
        response.encoding = errors.encoding = "utf-8"
        return response.text + (errors.text if errors.ok else "")

    # — snapshots —

    def snapshot(self, task: TaskFacts) -> str:
        """Ask for a snapshot; return its id."""
        body: dict[str, Any] = {"whitelist": None, "blacklist": None, "bucket": None, "bucketPrefix": None}
        return str(self._json("POST", f"/tasks/{quote(task.id, safe='')}/snapshot", body, task.name).get("id"))

    def snapshot_status(self, task: TaskFacts, snapshot_id: str) -> str:
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

    def _task_of(self, plan: TaskPlan, job: Any) -> Any:
        task = self._connection.create_task(plan.name, plan.profile, 1, plan.launch_id, job)
        task.resources = [self._bucket(name) for name in plan.resources]
        task.results = self._bucket(plan.results)
        task.constants = dict(plan.constants)
        task.labels = dict(plan.labels)
        task.tags = list(plan.tags)
        task.upload_results_on_cancellation = True
        task.hardware_constraints = list(_hardware_constraints(plan.hardware))
        if plan.scheduling:
            task.scheduling_type = _SCHEDULING[plan.scheduling]()
        if plan.snapshot_seconds:
            task.snapshot(plan.snapshot_seconds)
        return task

    def _bucket(self, name: str) -> Bucket:
        return Bucket(self._connection, name, create=False)

    def _submitted_after_all(self, launch_id: str) -> TaskFacts | None:
        try:
            return self.task(launch_id)
        except NotFoundError:
            return None

    def _snapshot_every(self, task_id: str, seconds: int) -> None:
        if seconds:
            self._call("POST", f"/tasks/{quote(task_id, safe='')}/snapshot/periodic", {"interval": seconds})

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


def first_profile(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """Return those of `wanted` that are available, in the order of preference."""
    return [name for name in wanted if name in set(available)]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
