"""The client of the REST API for one account, with our own types. All methods block.

Tasks and jobs are written by the SDK (`internals`). Tasks are parsed here and not by the SDK, because its parser raises
on one unexpected null (§6.30) and some properties create buckets when read (§6.17).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import requests

from run_qarnot.cloud.connection import Api, storage_clients
from run_qarnot.cloud.errors import check_answer, error_message, translated
from run_qarnot.cloud.internals import job_form, task_form
from run_qarnot.cloud.json import read_json
from run_qarnot.cloud.models import (  # fmt: skip
    AccountSnapshot,
    Machine,
    TaskSnapshot,
    read_account,
    read_buckets,
    read_constants,
    read_id,
    read_machines,
    read_number,
    read_task,
    read_tasks,
    read_texts,
)
from run_qarnot.cloud.origin import origin_of
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.core.errors import NotFoundError, RunQarnotError, UnreachableError
from run_qarnot.core.messages import Message
from run_qarnot.model.plan import SAVES_TAG, TAG, TaskPlan
from run_qarnot.model.settings import Settings

_STORAGE_URL = "https://storage.qarnot.com"  # if the cluster does not state it (§1.2)
_PAGE = 100
_MOST_PAGES = 1000  # of a list; a longer one counts as endless
_CLOCK_TOLERANCE = timedelta(seconds=30)

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
        """Connect, and check the token.

        Raises:
            RefusedError: the token is not accepted.
            UnreachableError: no answer, or not one of Qarnot; raised within five seconds.
        """
        self.address = settings.cluster_url
        self._compat = settings.compat
        with self._translated():
            self._api = Api(settings, token)
        storage_url = settings.storage_url or self._storage_url()
        info = self._call("GET", "/info")
        check_answer(info, self.address, "")
        self._api.connected()
        with self._translated():
            self.email = read_account(read_json(info.content), "", None).email
        if not self.email:
            raise self._nonsense(Message("answer-without-account"))
        self.clock_offset = _clock_offset(info)
        with self._translated():
            calls, transfers = storage_clients(storage_url, self.email, token, self.clock_offset)
        self.storage = Storage(transfers, self.address, calls=calls, conditional_puts=settings.compat.conditional_puts)

    def _storage_url(self) -> str:
        """The address of the storage, as stated by the cluster (§1.2)."""
        address = self._object("GET", "/settings").get("storage", _STORAGE_URL)
        if address is None:
            raise UnreachableError("storage-unreachable", problem=Message("storage-not-named"))
        if not isinstance(address, str) or origin_of(address) is None:
            raise UnreachableError("storage-unreachable", problem=Message("storage-misnamed"))
        return address

    # — account —

    def account(self) -> AccountSnapshot:
        """Return the account, its running tasks and its quotas. Values that the platform does not state are None."""
        info = self._object("GET", "/info")
        credits_left = None
        with contextlib.suppress(RunQarnotError):  # not every account may see its credits
            credits_left = read_number(self._object("GET", "/credits/v1/accounts/credits").get("credits"))
        return read_account(info, self.email, credits_left)

    def profiles(self) -> list[str]:
        """Return the names of the profiles that the account has."""
        return read_texts(self._json("GET", "/profiles"))

    def profile_constants(self, profile: str) -> dict[str, str]:
        """Return the constants that a profile knows, with their default values.

        Raises:
            NotFoundError: the account has no such profile.
        """
        return read_constants(
            self._object("GET", f"/profiles/{quote(profile, safe='')}", name=profile).get("constants")
        )

    def machines(self) -> list[Machine]:
        """Return the machines that the account may ask for."""
        found: list[Any] = []
        for _ in range(_MOST_PAGES):
            page = self._object("GET", f"/hardware-constraints?limit={_PAGE}&offset={len(found)}")
            found.extend(new := _rows(page))
            if not new or len(found) >= (read_number(page.get("total")) or 0):
                return read_machines(found)
        raise self._nonsense(Message("answer-endless"))

    # — tasks —

    def tasks(self) -> list[TaskSnapshot]:
        """Return all tasks that this product started on the account, the newest first."""
        found = read_tasks(self._paginate("/tasks/paginate", _equal("Tags", TAG)))
        return sorted(found, key=lambda task: task.created.timestamp() if task.created else 0.0, reverse=True)

    def bucket_users(self) -> list[BucketUser]:
        """Return all tasks and pools of the account, whoever started them, also ended ones."""
        found = [*self._paginate("/tasks/paginate"), *self._paginate("/pools/paginate")]
        return [
            BucketUser(str(user.get("uuid")), str(user.get("name")), str(user.get("state")), read_buckets(user))
            for user in found
        ]

    def _paginate(self, path: str, wanted: Mapping[str, str] | None = None) -> list[Any]:
        found: list[Any] = []
        token: object = None
        for _ in range(_MOST_PAGES):
            answer = self._object("POST", path, {"filter": wanted, "token": token, "maximumResults": _PAGE})
            found.extend(_rows(answer))
            token, before = answer.get("nextToken"), token
            if not (answer.get("isTruncated") and token) or token == before:
                return found
        raise self._nonsense(Message("answer-endless"))

    def task(self, task_id: str, name: str = "") -> TaskSnapshot:
        """Return a task, by its id or its launch id.

        Raises:
            NotFoundError: it does not exist.
        """
        task = read_task(self._json("GET", f"/tasks/{quote(task_id, safe='')}", name=name or task_id))
        if not task.id:
            raise self._nonsense(Message("answer-not-task"))
        return task

    def make_job(self, plan: TaskPlan) -> str:
        """Create the job that limits the time; return its id. A job that exists for this launch is reused."""
        shortname = f"{plan.launch_id}-limit"
        found = self._json("POST", "/jobs/search", {"filter": _equal("Shortname", shortname), "maximumResults": 10})
        for job in found if isinstance(found, list) else []:
            if isinstance(job, Mapping) and job.get("shortname") == shortname and (job_id := read_id(job.get("uuid"))):
                return job_id
        with self._translated():
            form = job_form(plan.name, shortname, plan.time_limit, list(plan.tags))
        return self._made("/jobs/", form)

    def drop_job(self, job_id: str) -> None:
        """Delete a job in which nothing was started. A failure is ignored: the job is empty."""
        with contextlib.suppress(RunQarnotError):
            self._call("DELETE", f"/jobs/{quote(job_id, safe='')}?force=true")

    def make_task(self, plan: TaskPlan, job_id: str) -> TaskSnapshot:
        """Submit the task in its job. The buckets must exist.

        This can be repeated: the launch id is looked up first, so that a lost answer does not lead to a second task.
        """
        with contextlib.suppress(NotFoundError):
            return self.task(plan.launch_id, plan.name)
        with self._translated():
            form = self._task_form(plan, job_id)
        return self.task(self._made("/tasks", form), plan.name)

    def snapshot_every(self, task: TaskSnapshot, seconds: int) -> None:
        """Have the results saved periodically while the task runs."""
        path = f"/tasks/{quote(task.id, safe='')}/snapshot/periodic"
        check_answer(self._call("POST", path, {"interval": seconds}), self.address, task.name)

    def abort(self, task: TaskSnapshot) -> None:
        """Abort a task. A task that has ended is left as it is."""
        response = self._call("POST", f"/tasks/{quote(task.id, safe='')}/abort")
        over = response.status_code == requests.codes.forbidden and "abort" in error_message(response).lower()
        if not over:  # otherwise "Can't abort the task": it has ended, or does not exist yet
            check_answer(response, self.address, task.name)

    def close_job(self, task: TaskSnapshot) -> None:
        """Terminate the job that held the task, so that it does not count against the account's quota."""
        if task.job is not None:
            self._call("POST", f"/jobs/{quote(task.job, safe='')}/terminate")

    def refresh_resources(self, task: TaskSnapshot) -> None:
        """Send new objects of the input buckets to the running machine."""
        check_answer(self._call("PATCH", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def delete(self, task: TaskSnapshot) -> None:
        """Delete a task. Its buckets are kept."""
        check_answer(self._call("DELETE", f"/tasks/{quote(task.id, safe='')}"), self.address, task.name)

    def output(self, task_id: str) -> str:
        """Return the output of the container so far, as far as it is kept: standard output, then standard error."""
        return "".join(self.streams(task_id))

    def streams(self, task_id: str) -> tuple[str, str]:
        """Return standard output and standard error so far (GET moves no cursor, §2.5)."""
        path = f"/tasks/{quote(task_id, safe='')}"
        output, errors = self._call("GET", f"{path}/stdout"), self._call("GET", f"{path}/stderr")
        check_answer(output, self.address, task_id)
        output.encoding = errors.encoding = "utf-8"
        return output.text, errors.text if errors.ok else ""

    # — snapshots —

    def snapshot(self, task: TaskSnapshot) -> str:
        """Ask for a snapshot; return its id."""
        body: dict[str, Any] = {"whitelist": None, "blacklist": None, "bucket": None, "bucketPrefix": None}
        return self._made(f"/tasks/{quote(task.id, safe='')}/snapshot", body, task.name)

    def snapshot_status(self, task: TaskSnapshot, snapshot_id: str) -> str:
        """Return the status of a snapshot in small letters: triggered, inprogress, success, failure."""
        path = f"/tasks/{quote(task.id, safe='')}/snapshot/{quote(snapshot_id, safe='')}"
        return str(self._object("GET", path, name=task.name).get("status") or "triggered").lower()

    # — cost —

    def cost(self, task_id: str) -> float | None:
        """Return the cost of a task so far, in euros; None if the platform does not state it."""
        with contextlib.suppress(RunQarnotError):
            return read_number(
                self._object("GET", f"/credits/v1/tasks/{quote(task_id, safe='')}/credits").get("credits")
            )
        return None

    def carbon(self, task_id: str) -> float | None:
        """Return the emissions of a task so far, in grams of CO2e; None if the platform does not state them."""
        with contextlib.suppress(RunQarnotError):
            facts = self._object("GET", f"/carbon/v1/tasks/{quote(task_id, safe='')}/carbon-facts")
            return read_number(facts.get("qarnot_carbon_footprint", facts.get("carbonFootprintC02Eq")))
        return None

    # — inner —

    def _task_form(self, plan: TaskPlan, job_id: str) -> Mapping[str, Any]:
        return task_form(
            plan.name,
            plan.profile,
            plan.instances,
            plan.launch_id,
            job_id,
            # The results come last, so that after a preemption the next machine starts with what was saved: it gets
            # only the resources (§3.3), and of several files with one path it gets that of the last bucket.
            resources=[*plan.resources, *([plan.results] if self._compat.results_as_resource else [])],
            results=plan.results,
            constants=plan.constants,
            labels=plan.labels,
            tags=[*plan.tags, f"{SAVES_TAG}{plan.snapshot_seconds}"],
            constraints=plan.hardware,
            scheduling=plan.scheduling,
            upload_on_cancel=self._compat.upload_on_cancel,
        )

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None = None, name: str = "") -> Any:
        response = self._call(method, path, body)
        check_answer(response, self.address, name)
        with self._translated():
            return read_json(response.content)

    def _object(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, name: str = ""
    ) -> Mapping[str, Any]:
        """Return the answer as an object; null becomes an empty one."""
        answer = self._json(method, path, body, name)
        if answer is not None and not isinstance(answer, Mapping):
            raise self._nonsense(Message("answer-not-object"))
        return answer or {}

    def _made(self, path: str, body: Mapping[str, Any], name: str = "") -> str:
        """Create something; return its id."""
        answer = self._object("POST", path, body, name)
        if not (made := read_id(answer.get("uuid") or answer.get("id"))):
            raise self._nonsense(Message("answer-without-id"))
        return made

    def _nonsense(self, problem: Message) -> UnreachableError:
        return UnreachableError("nonsense", cluster=self.address, problem=problem)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        with self._translated():
            response = self._api.call(method, path, body)
        if not response.ok:
            log.debug("%s %s: %s %s", method, path, response.status_code, error_message(response))
        return response

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return translated(self.address)


def _equal(field: str, value: str) -> dict[str, str]:
    return {"operator": "Equal", "field": field, "value": value}


def first_profile(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """Return those of `wanted` that are available, in the order of preference."""
    return [name for name in wanted if name in set(available)]


def _clock_offset(response: requests.Response) -> timedelta:
    """Return how far the cluster's clock is ahead of this machine's; small differences come from the network."""
    try:
        theirs = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return timedelta()
    offset = theirs - datetime.now(UTC)
    return offset if abs(offset) > _CLOCK_TOLERANCE else timedelta()


def _rows(page: Mapping[str, Any]) -> list[Any]:
    rows = page.get("data")
    return rows if isinstance(rows, list) else []
