"""Reading requests: JSON with keys in any case, tasks and jobs by id or short name."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire import canonical

_DEEPEST = 64  # as far as .NET reads, and no recursion of ours ends before


async def read_plain(request: Request) -> Any:
    """The body as it was sent; an empty one is an error of its own kind (§1.4).

    What Python reads and no answer could hold is refused too: NaN, numbers beyond all bounds, halves of characters.
    """
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        is_too_deep = _depth(body) > _DEEPEST
    except (ValueError, RecursionError) as error:
        raise MalformedError("$", f"The request body is no JSON: {error}") from error
    if is_too_deep:
        raise MalformedError("$", f"The request body is nested deeper than {_DEEPEST} levels.")
    return body


def _depth(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)


async def read_json(request: Request) -> Any:
    """The body with its keys respelt."""
    return canonical(await read_plain(request))


async def read_object(request: Request, optional: bool = False) -> dict[str, Any]:
    """Read an object. An `optional` one may be missing or null, which reads as an empty one."""
    if optional and (await request.body()).strip() in {b"", b"null"}:
        return {}
    return as_object(await read_json(request))


def as_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise MalformedError("$", "The request body is not an object.")
    return body


def query(request: Request, name: str) -> str | None:
    """A query value; names are matched in any case (§5)."""
    wanted = name.casefold()
    return next((value for key, value in request.query_params.multi_items() if key.casefold() == wanted), None)


def find_task(world: Context, name: str) -> Task:
    task = world.manager.tasks.find(name)
    if task is None:
        raise ApiError(404, f"No such task: {name}")
    return task


def find_job(world: Context, name: str) -> Job:
    job = world.manager.jobs.find(name)
    if job is None:
        raise ApiError(404, f"No such job: {name}")
    return job
