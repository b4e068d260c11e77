"""Snapshots, at once and periodic (`reference/qarnot-platform.md` §2.6)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.field_checks import is_filter
from qarnot_local.api.requests import find_task, read
from qarnot_local.runtime.definition import SnapshotRequest
from qarnot_local.runtime.runner import Run
from qarnot_local.runtime.tasks import SnapshotConfig, Task
from qarnot_local.wire import LONGEST_SECONDS, View, is_bucket_name


def add_routes(app: FastAPI, world: Context) -> None:
    @app.post("/tasks/{name}/snapshot/periodic")
    async def periodic(name: str, request: Request) -> Response:
        """Start, change or stop (interval 0) the periodic snapshot.

        Filters are kept: they are the defaults of later snapshots. A null body changes nothing that was given before.
        """
        run = _running(world, name)
        task, given = run.task, await read(request, SnapshotRequest, optional=True)
        if (await request.body()).strip() == b"null":
            given.interval = task.snapshot_interval
        _check(task, given)
        if given.interval is None or not 0 <= given.interval <= LONGEST_SECONDS:
            raise ApiError(400, "Invalid snapshot interval")
        task.snapshot_interval = given.interval
        task.definition.snapshot_whitelist = _either(given.whitelist, task.definition.snapshot_whitelist)
        task.definition.snapshot_blacklist = _either(given.blacklist, task.definition.snapshot_blacklist)
        # Without a result bucket nothing can be uploaded. What the platform answers then is not known.
        target = _target(run, given)
        run.snapshots.repeat(given.interval if target.bucket else 0, target)
        task.touch()
        world.manager.tasks.save(task)
        return Response()

    @app.post("/tasks/{name}/snapshot")
    async def instant(name: str, request: Request) -> View:
        """Take one snapshot now. Its filters are only its own."""
        run = _running(world, name)
        given = await read(request, SnapshotRequest, optional=True)
        _check(run.task, given)
        target = _target(run, given)
        if not target.bucket:
            raise ApiError(400, "No bucket to put the snapshot in")
        return run.snapshots.take(
            SnapshotConfig(target.bucket, target.prefix, given.whitelist, given.blacklist)
        ).answer()

    @app.get("/tasks/{name}/snapshot/{snapshot}")
    async def status(name: str, snapshot: str) -> View:
        found = find_task(world, name).snapshots.get(snapshot)
        if found is None:
            raise ApiError(404, f"No such snapshot: {snapshot}")
        return found.answer()


def _either(given: str | None, own: str) -> str:
    return own if given is None else given


def _target(run: Run, given: SnapshotRequest) -> SnapshotConfig:
    """Bucket and prefix: the request's, else the task's for snapshots, else its result bucket."""
    own = run.task.definition
    if given.bucket:
        return SnapshotConfig(given.bucket, given.bucket_prefix or "")
    prefix = given.bucket_prefix or (own.snapshot_bucket_prefix if own.snapshot_bucket else None) or ""
    return SnapshotConfig(own.snapshot_bucket or own.result_bucket or "", prefix)


def _running(world: Context, name: str) -> Run:
    run = world.manager.run_of(find_task(world, name))
    if run is None or run.task.is_final:
        raise ApiError(403, "Task is not running")
    return run


def _check(task: Task, given: SnapshotRequest) -> None:
    if given.bucket and not is_bucket_name(given.bucket):
        raise ApiError(400, "Invalid bucket")
    for name, value in {"whitelist": given.whitelist, "blacklist": given.blacklist}.items():
        if not is_filter(value or "", task.constants):
            raise ApiError(400, f"Invalid {name}")
