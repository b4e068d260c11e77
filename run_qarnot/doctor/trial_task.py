"""A small task of the doctor with its buckets and job; everything is removed at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from run_qarnot.cloud.api import Cloud
from run_qarnot.cloud.probe import Answer
from run_qarnot.core.errors import NotFoundError, RefusedError, RunQarnotError
from run_qarnot.doctor.observer import Observer
from run_qarnot.model.plan import TaskPlan

FINAL = {"Success", "Failure", "Cancelled"}
START_SECONDS = 15 * 60.0  # until a machine was found, and has the image
_POLL_SECONDS = 2.0
_END_SECONDS = 60.0
_TAG = "rq-doctor"
_SAID = re.compile(r"^(?:\d+> ?)?doctor-([a-z]+)=(.*)$", re.MULTILINE)


class TrialTask:
    """A task in its own job, whose time limit ends it.

    Arguments:
        look: at the account.
        name: what it is for, in small letters.
        minutes: after which the job ends it.
    """

    def __init__(self, look: Observer, name: str, minutes: float) -> None:
        self.look = look
        self.name = f"{look.name}-{name}"
        self.results_are_resource = True
        self.states: list[str] = []
        self.id = ""
        self._minutes = minutes

    def start(
        self,
        profile: str,
        constants: Mapping[str, str],
        *,
        inputs: Mapping[str, bytes] | None = None,
        results: Mapping[str, bytes] | None = None,
        machines: int = 1,
        resources: Sequence[str] = (),
    ) -> None:
        """Create its buckets with their files and submit it.

        Raises:
            RunQarnotError: it is refused.
        """
        look = self.look
        bucket_in, bucket_out = (look.make_bucket(self.name.removeprefix(look.name) + end) for end in ("-in", "-out"))
        for bucket, files in ((bucket_in, inputs or {}), (bucket_out, results or {})):
            for key, content in files.items():
                look.store("put_object", Bucket=bucket, Key=key, Body=content)
        self.bucket_in, self.bucket_out = bucket_in, bucket_out
        plan = TaskPlan(
            name=self.name, launch_id=self.name, profile=profile, constants=constants,
            resources=(*resources, bucket_in), results=bucket_out, labels={},
            time_limit=timedelta(minutes=self._minutes), snapshot_seconds=0, tags=(_TAG,), instances=machines,
        )  # fmt: skip
        look.removes(f"the task {self.name}", self._forget)
        job = look.cloud.make_job(plan)
        look.removes(f"the job of {self.name}", lambda: look.cloud.drop_job(job))
        self.submitted = time.monotonic()
        try:
            self.id = look.cloud.make_task(plan, job).id
        except RefusedError:
            self.results_are_resource = False
            compat = replace(look.settings.compat, results_as_resource=False)
            self.id = Cloud(replace(look.settings, compat=compat), look.token).make_task(plan, job).id
        look.tasks.append(self.id)

    def body(self) -> Mapping[str, Any]:
        """The task as the API returns it now."""
        answer = self.ask("GET")
        body: Mapping[str, Any] = answer.body if isinstance(answer.body, Mapping) else {}
        state = str(body.get("state"))
        if answer.is_ok and state not in self.states[-1:]:
            self.states.append(state)
        return body

    @property
    def state(self) -> str:
        return str(self.body().get("state"))

    def ask(self, method: str, path: str = "", body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request below the task's URL, such as `ask("POST", "/abort")`."""
        return self.look.ask(method, f"/tasks/{self.id}{path}", body)

    def wait(self, condition: Callable[[], object], seconds: float) -> float | None:
        """Wait for a condition; return the seconds it took, None on timeout."""
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > seconds:
                return None
            self.look.pause(_POLL_SECONDS if seconds > 10 else _POLL_SECONDS / 10)
        return time.monotonic() - begun

    def runs(self) -> bool:
        """Wait until it executes; False if it ended first, or if no machine was found in time."""
        self.wait(lambda: self.state in FINAL | {"FullyExecuting"}, START_SECONDS)
        return self.states[-1:] == ["FullyExecuting"]

    def ended(self, seconds: float = START_SECONDS) -> str:
        """Wait for its end; return its state."""
        self.wait(lambda: self.state in FINAL, seconds)
        return self.states[-1] if self.states else "unknown"

    def instance(self) -> Mapping[str, Any]:
        """The first machine as the API returns it."""
        status = self.body().get("status")
        running = status.get("runningInstancesInfo") if isinstance(status, Mapping) else None
        found = running.get("perRunningInstanceInfo") if isinstance(running, Mapping) else None
        return found[0] if isinstance(found, list) and found and isinstance(found[0], Mapping) else {}

    def forwards(self) -> list[Mapping[str, Any]]:
        found = self.instance().get("activeForwards")
        return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []

    def output(self) -> str:
        return self.ask("GET", "/stdout").text

    def said(self) -> dict[str, str]:
        """The facts its script printed, in lines such as `doctor-folder=/job`."""
        return said_in(self.output())

    def errors(self) -> str:
        """Why it failed, in the cluster's words."""
        found = self.body().get("errors")
        return "; ".join(str(each.get("message") or each.get("code")) for each in found or [] if isinstance(each, dict))

    def saved(self) -> dict[str, str]:
        """The small files in its result bucket."""
        self.look.check()
        found = {}
        for file in self.look.cloud.storage.files(self.bucket_out):
            found[file.key] = (self.look.storage.read(self.bucket_out, file.key) or b"")[:100].decode(errors="replace")
        return found

    def stop(self) -> str:
        """Cancel it, and wait for its end; return its state."""
        self.ask("POST", "/abort")
        return self.ended(_END_SECONDS)

    def _forget(self) -> None:
        """End and delete it, even if its creation's response was lost. Not through `look`, which may be cancelled."""
        cloud = self.look.cloud
        with suppress(NotFoundError):
            task = cloud.task(self.name)
            if task.state not in FINAL:
                with suppress(RunQarnotError):
                    cloud.abort(task)
                end = time.monotonic() + _END_SECONDS / 4
                while cloud.task(self.name).state not in FINAL and time.monotonic() < end:
                    time.sleep(0.2)
            cloud.delete(task)


def said_in(output: str) -> dict[str, str]:
    """Return the facts our script printed. Each line of output may begin with the number of the machine."""
    return dict(_SAID.findall(output))
