"""Snapshots, at once and periodic (`reference/qarnot-platform.md` §2.6)."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.field_types import check_fields
from qarnot_local.api.requests import find_task, read_object
from qarnot_local.runtime.runner import Run
from qarnot_local.wire import LONGEST_SECONDS, is_bucket_name


def add_routes(app: FastAPI, world: Context) -> None:
    @app.post("/tasks/{name}/snapshot/periodic")
    async def periodic(name: str, request: Request) -> Response:
        run = _running(world, name)
        body = await read_object(request)
        _check(body, "interval")
        interval = body.get("interval")
        if interval is None or not 0 <= interval <= LONGEST_SECONDS:
            raise ApiError(400, "Invalid snapshot interval")
        run.task.snapshot_interval = interval
        config = {name: body.get(name) for name in ("whitelist", "blacklist")}
        # Without a result bucket there is nothing to do; the platform's answer to that is not known.
        bucket, prefix = _place(run, body)
        config |= {"bucket": bucket, "bucketPrefix": prefix}
        run.snapshots.repeat(interval if bucket else 0, config)
        return Response()

    @app.post("/tasks/{name}/snapshot")
    async def instant(name: str, request: Request) -> dict[str, Any]:
        run = _running(world, name)
        body = await read_object(request, optional=True)
        _check(body)
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


def _check(body: dict[str, Any], *more: str) -> None:
    check_fields(body, ("whitelist", "blacklist", "bucket", "bucketPrefix", *more))
    if body.get("bucket") and not is_bucket_name(body["bucket"]):
        raise ApiError(400, "Invalid bucket")
    for name in ("whitelist", "blacklist"):
        try:
            re.compile(body.get(name) or "")
        except re.error as error:
            raise ApiError(400, f"Invalid {name}") from error
