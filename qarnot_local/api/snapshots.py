"""Snapshots, at once and periodic (`reference/qarnot-platform.md` §2.6)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.field_checks import is_filter
from qarnot_local.api.field_types import check_fields
from qarnot_local.api.requests import as_object, find_task, read_json, read_object
from qarnot_local.runtime.runner import Run
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire import LONGEST_SECONDS, is_bucket_name

_FILTERS = ("whitelist", "blacklist")


def add_routes(app: FastAPI, world: Context) -> None:
    @app.post("/tasks/{name}/snapshot/periodic")
    async def periodic(name: str, request: Request) -> Response:
        """Start, change or stop (interval 0) the periodic snapshot.

        Filters are kept: they are the defaults of later snapshots. A null body changes nothing that was given before.
        """
        run = _running(world, name)
        task, body = run.task, await read_json(request)
        body = {"interval": task.snapshot_interval} if body is None else as_object(body)
        _check(task, body, "interval")
        interval = body.get("interval")
        if interval is None or not 0 <= interval <= LONGEST_SECONDS:
            raise ApiError(400, "Invalid snapshot interval")
        task.snapshot_interval = interval
        kept = {f"snapshot{each.capitalize()}": body[each] for each in _FILTERS if body.get(each) is not None}
        task.definition |= kept
        # Without a result bucket nothing can be uploaded. What the platform answers then is not known.
        bucket, prefix = _place(run, body)
        run.snapshots.repeat(interval if bucket else 0, {"bucket": bucket, "bucketPrefix": prefix})
        task.touch()
        world.manager.tasks.save(task)
        return Response()

    @app.post("/tasks/{name}/snapshot")
    async def instant(name: str, request: Request) -> dict[str, Any]:
        """Take one snapshot now. Its filters are only its own."""
        run = _running(world, name)
        body = await read_object(request, optional=True)
        _check(run.task, body)
        bucket, prefix = _place(run, body)
        body["bucketPrefix"] = prefix
        if not bucket:
            raise ApiError(400, "No bucket to put the snapshot in")
        return run.snapshots.take(body, bucket)

    @app.get("/tasks/{name}/snapshot/{snapshot}")
    async def status(name: str, snapshot: str) -> dict[str, Any]:
        found = find_task(world, name).snapshots.get(snapshot)
        if found is None:
            raise ApiError(404, f"No such snapshot: {snapshot}")
        return found


def _place(run: Run, body: dict[str, Any]) -> tuple[str | None, str]:
    """Bucket and prefix: the request's, else the task's for snapshots, else its result bucket."""
    own = run.task.definition
    if body.get("bucket"):
        return body["bucket"], body.get("bucketPrefix") or ""
    prefix = body.get("bucketPrefix") or (own["snapshotBucketPrefix"] if own["snapshotBucket"] else None) or ""
    return own["snapshotBucket"] or own["resultBucket"], prefix


def _running(world: Context, name: str) -> Run:
    run = world.manager.run_of(find_task(world, name))
    if run is None or run.task.is_final:
        raise ApiError(403, "Task is not running")
    return run


def _check(task: Task, body: dict[str, Any], *more: str) -> None:
    check_fields(body, (*_FILTERS, "bucket", "bucketPrefix", *more))
    if body.get("bucket") and not is_bucket_name(body["bucket"]):
        raise ApiError(400, "Invalid bucket")
    for name in _FILTERS:
        if not is_filter(body.get(name) or "", task.constants):
            raise ApiError(400, f"Invalid {name}")
