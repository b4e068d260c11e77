"""Time and trouble in the hands of a test: `cluster.control`, and the same over HTTP below `/_control`.

    with LocalCluster() as cluster:
        control = cluster.control
        with control.expecting():                       # at its end: every scripted fault was met, or ControlError
            control.fail_next("POST", "/tasks", status=503, times=2)
            control.fail_next("POST", "/tasks", how="lost answer")
            control.fail_next("PUT", "s3:UploadPart", code="SlowDown", skip=3)
            ...
        control.advance(3600)                           # the cluster's clock: maxWallTime, time-to-live, queue
        assert control.count("POST", "/tasks") == 4

All methods may be called from any thread, and return when the cluster has done it. `task` is a uuid, a short name, or
anything with a `uuid`. Times are real seconds, a day at most, except those of `advance`,
a hundred years in all. An argument of a wrong kind is refused with ControlError, and nothing is changed.

**Routes** are the cluster's own templates: `/tasks/{name}/abort`; write `*` or `{anything}` for a variable part, or
the value that it must have; `*` alone is every route. Storage has one route for each S3 operation: `s3:PutObject`,
`s3:UploadPart`, `s3:GetObject`, `s3:HeadObject`, `s3:ListObjects`, … (`control.routes()` lists all; `s3:*` is all of
storage). A route or method that does not exist is refused with ControlError, which names the nearest.

**Trouble**
- `fail_next(method, route, status=503)`: answered by this status, without effect. `body` is JSON (a dict or list) or
  text; by default the platform's own body for this status. `code="SlowDown"` is S3's error code, which implies the
  status.
- `how="reset"`: the connection is reset, without effect; for storage, `after_bytes` of the body are read (or, of an
  answer, sent) before. `how="timeout"`: no answer, ever. `how="lost answer"`: the call takes effect, then the
  connection is reset.
- `times` (default 1; None: always), `skip` (let so many pass first), `path` (a glob on what is asked:
  `/tasks/<uuid>`, for storage `bucket/key`), `only_with` (a header that the request must have, such as
  If-None-Match), `headers` (such as Retry-After). Of several faults, the first one
  scripted that fits is met.
- `delay(route, seconds)`: slow answers; added to whatever else happens. Always, unless `times` says how often.
- `refusing()`: a context in which nobody listens, connections are refused and the open ones reset; `refuse()`,
  `accept()`; over HTTP only `refuse` with `seconds`.
- `change_token(token)`: the account has this one instead, and the one before is refused; `reset` takes that back.
- `expire_token()`: 401 from the API, 403 from storage, until `restore_token()`. `/_control` itself goes on working.
- `refuse_skew()`: storage answers 403 RequestTimeTooSkewed to what is signed more than 15 minutes from the cluster's
  time, as a real one does, until `reset`. Not from the start: after `advance`, it would refuse every other client.
- `ignore_header(name)`: storage takes no notice of a header, such as If-None-Match, as one that does not know it; until
  `reset`.
- `full_quota(kind)`: the quota is what is used now. Kinds: `tasks`, `running_tasks`, `jobs`, `pools` (403 at
  submission), `instances` (tasks wait in the queue), `buckets` (S3 TooManyBuckets), `bytes` (S3 403 QuotaExceeded),
  `credits` (402). `set_quota(kind, value)` sets any other value; both until `reset`.
- `foreign_bucket(name)`: another account has a bucket of this name, as all accounts share the names: 409
  BucketAlreadyExists when it is to be made, 403 AccessDenied for all else; until `reset`.

**Lives**
- `pace(realistic=True)`: each stage takes what it takes on Qarnot: two minutes to a shell, not half a second. For
  programs that count on the cloud's slowness. `pace(False)`: as fast as possible again, as at first.
- `preempt(task)`: the machines go away: processes killed, folder gone. The state stays (or is `state` until the task
  executes again: nobody knows what Qarnot shows), the attempt count rises, forwards come back with another port and
  host key, `/job` is made again from the resources alone. `instances` chooses some of several.
- `hold(stage, task=None)` keeps one task or all at a stage, `release(stage=None, task=None)` lets go: `Submitted`,
  `FullyDispatched`, `forward` (executes, port 22 never opens), `app` (port 22 opens, what is forwarded through it is
  never answered), `snapshot` (stays InProgress), `UploadingResults`, `PendingCancel`. Aborting goes on working.

**Record**: `calls` (each has method, route, path, status or None, moment, seconds), `count(method, route)`,
`clear_calls()`. `check()` raises ControlError if a scripted fault was not (wholly) met; `reset()` ends all trouble,
but moves no clock and changes no pace.

**HTTP**: with the token, also an expired one. `POST /_control/<name of the method>` with its arguments as a JSON
object (`{"method": "GET", "route": "/tasks/*", "status": 503}`; names as here, or in camelCase) answers `{"result":
…}`; a mistake is a 400 with `{"message": …}`. `GET /_control` tells the present state, `GET /_control/calls` the
record.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from qarnot_local.access import Access
from qarnot_local.control import checks as checks
from qarnot_local.control.faults import HOWS, STATUS, Call, ControlError, Fault, Faults, covers, summed
from qarnot_local.runtime.clock import Clock, use
from qarnot_local.runtime.manager import Manager
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.runtime.stage_gates import REALISTIC, STAGES
from qarnot_local.runtime.tasks import Task
from qarnot_local.s3 import operations

__all__ = ["Call", "Control", "ControlError"]
_T = TypeVar("_T")


class Listeners(Protocol):
    """What listens."""

    async def close(self) -> None: ...

    async def open(self) -> None: ...


class Control:
    """See the top of this module: it is the contract."""

    def __init__(self, manager: Manager, faults: Faults, clock: Clock, access: Access) -> None:
        self._manager = manager
        self._faults = faults
        self._clock = clock
        self._access = access
        self._first_token = self._access.token
        self.listeners: Listeners  # set before the first call
        self._loop = asyncio.get_running_loop()

    def _on_loop(self, work: Callable[[], Awaitable[_T]]) -> _T:
        async def run() -> _T:
            use(self._clock)  # this thread has another context
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _do(self, work: Callable[[], _T]) -> _T:
        async def run() -> _T:
            result = work()
            await asyncio.sleep(0)  # let the tasks that `work` created start
            return result

        return self._on_loop(run)

    # Trouble

    def fail_next(
        self,
        method: str,
        route: str,
        *,
        status: int | None = None,
        body: Any = None,
        how: str | None = None,
        code: str = "",
        times: int | None = 1,
        skip: int = 0,
        path: str | None = None,
        headers: dict[str, str] | None = None,
        after_bytes: int = 0,
        only_with: str = "",
    ) -> None:
        how = how or STATUS
        texts = {"method": method, "route": route, "how": how, "code": code, "path": path or "", "only_with": only_with}
        for name, value in texts.items():
            checks.text(name, value)
        checks.headers(headers or {})
        checks.whole("skip", skip)
        checks.whole("after_bytes", after_bytes)
        if times is not None:
            checks.whole("times", times, 1)
        if how == "refuse":
            raise ControlError(
                "A single call cannot be refused: there is no route yet. Use `with control.refusing():`."
            )
        if how not in HOWS:
            raise ControlError(f"how={how!r} is none of {', '.join(HOWS)}.")
        if code and not route.startswith("s3:"):
            raise ControlError("code is for routes of storage, s3:…")
        status = operations.STATUSES.get(code) if status is None else status
        if how == STATUS and status is None:
            raise ControlError("Say which status (or a known S3 code), or how.")
        if status is not None:
            checks.whole("status", status, 200, 599)
        what = (method.upper(), route, how, status, body, code, headers or {}, times, skip, path, after_bytes)
        self._faults.add(Fault(*what, only_with.lower()))

    def delay(
        self, route: str, seconds: float, *, method: str = "*", times: int | None = None, path: str | None = None
    ) -> None:
        for name, value in {"method": method, "route": route, "path": path or ""}.items():
            checks.text(name, value)
        checks.number("seconds", seconds, 0, checks.LONGEST_SECONDS)
        if times is not None:
            checks.whole("times", times, 1)
        self._faults.add(Fault(method.upper(), route, seconds=seconds, times=times, path=path))

    def refuse(self, seconds: float | None = None) -> None:
        """Refuse connections until `accept`, or for `seconds`."""
        if seconds is not None:
            checks.number("seconds", seconds, 0, checks.LONGEST_SECONDS)

        async def close() -> None:
            await self.listeners.close()
            if seconds is not None:
                self._loop.call_later(seconds, lambda: self._loop.create_task(self.listeners.open()))

        self._on_loop(close)

    def accept(self) -> None:
        self._on_loop(self.listeners.open)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        self.refuse()
        try:
            yield
        finally:
            self.accept()

    def expire_token(self) -> None:
        self._access.is_expired = True

    def change_token(self, token: str) -> None:
        checks.text("token", token)
        self._access.token = token

    def restore_token(self) -> None:
        self._access.is_expired = False

    def refuse_skew(self) -> None:
        self._access.clock = self._clock

    def ignore_header(self, name: str) -> None:
        checks.text("name", name)
        self._faults.ignored_headers.add(name.lower())

    def full_quota(self, kind: str) -> None:
        self.set_quota(kind, self._do(lambda: self._used(kind)))

    def set_quota(self, kind: str, value: float) -> None:
        self._check_kind(kind)
        checks.number("value", value)

        def change() -> None:
            setattr(self._manager.quotas, kind, value)
            self._manager.look_again()

        self._do(change)

    def foreign_bucket(self, name: str) -> None:
        checks.text("name", name)
        if self._manager.storage.has_bucket(name):
            raise ControlError(f"The account has the bucket {name} itself.")
        self._manager.storage.foreign.add(name)

    def _check_kind(self, kind: str) -> None:
        if kind not in vars(Quotas()):
            raise ControlError(f"No such quota: {kind}. There are {', '.join(vars(Quotas()))}.")

    def _used(self, kind: str) -> float:
        self._check_kind(kind)
        manager = self._manager
        running = manager.running()
        buckets, size = manager.storage.usage()
        used = {"buckets": buckets, "bytes": size, "tasks": len(manager.tasks), "running_tasks": len(running)}
        used |= {"jobs": len(manager.jobs), "pools": len(manager.pools), "credits": 0}
        used["running_pools"] = sum(pool.is_open for pool in manager.pools)
        used["instances"] = sum(not instance.ended for task in running for instance in task.instances)
        return used[kind]

    def advance(self, seconds: float) -> None:
        checks.number("seconds", seconds, 0, checks.FARTHEST_SECONDS - self._clock.ahead)
        self._do(lambda: self._clock.advance(seconds))

    # Lives

    def preempt(self, task: Any, instances: Iterable[int] | None = None, state: str | None = None) -> None:
        chosen = None if instances is None else set(instances)
        checks.text("state", state or "")

        def take() -> None:
            found = self._task(task)
            run = self._manager.run_of(found)
            if run is None or not run.preempt(chosen, state):
                raise ControlError(f"{found.shortname} is {found.state}: nothing of it executes.")

        self._do(take)

    def hold(self, stage: str, task: Any = None) -> None:
        if stage not in STAGES:
            raise ControlError(f"No such stage: {stage}. There are {', '.join(STAGES)}.")
        self._do(lambda: self._manager.holds.hold(stage, self._task(task).uuid if task else None))

    def release(self, stage: str | None = None, task: Any = None) -> None:
        def let_go() -> None:
            self._manager.holds.release(stage, self._task(task).uuid if task else None)
            self._manager.look_again()

        self._do(let_go)

    def _task(self, task: Any) -> Task:
        name = str(getattr(task, "uuid", task))
        found = self._manager.tasks.find(name)
        if found is None:
            raise ControlError(f"No such task: {name}")
        return found

    def pace(self, realistic: bool = True) -> None:
        self._do(lambda: setattr(self._manager.holds, "pace", REALISTIC if realistic else {}))

    # Record

    @property
    def calls(self) -> list[Call]:
        return list(self._faults.calls)

    def count(self, method: str, route: str) -> int:
        """How many calls there were; a `route` that does not exist is refused here too."""
        self._faults.check_route(method.upper(), route)
        return sum(method in {"*", call.method} and covers(route, call.route, call.path) for call in self.calls)

    def clear_calls(self) -> None:
        self._faults.calls.clear()

    def routes(self) -> list[str]:
        return self._faults.routes()

    def state(self) -> dict[str, Any]:
        """Everything that differs from an untroubled cluster."""
        return {
            "now": self._clock.now().isoformat(),
            "isExpired": self._access.is_expired,
            "refusesSkew": self._access.clock is not None,
            "faults": self._faults.listed(),
            "ignoredHeaders": sorted(self._faults.ignored_headers),
            "pace": dict(self._manager.holds.pace),
            "holds": self._do(self._manager.holds.listed),
            "quotas": vars(self._manager.quotas).copy(),
            "foreignBuckets": sorted(self._manager.storage.foreign),
            "calls": summed(iter(self.calls)),
        }

    def check(self) -> None:
        if unused := self._faults.unused():
            raise ControlError("Scripted, but not met:\n" + "\n".join(unused))

    @contextlib.contextmanager
    def expecting(self) -> Iterator[Control]:
        """Call `check` at the end, unless the body raises, and clear the faults."""
        try:
            yield self
            self.check()
        finally:
            self._faults.clear()

    def reset(self) -> None:
        self._faults.clear()
        self._faults.ignored_headers.clear()
        self.clear_calls()
        self.restore_token()
        self._access.token = self._first_token
        self._access.clock = None
        self._manager.storage.foreign.clear()
        for kind, value in vars(Quotas()).items():
            self.set_quota(kind, value)
        self.release()
        self.accept()
