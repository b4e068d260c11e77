"""Reading requests: JSON with keys in any case, tasks and jobs by id or short name."""

from __future__ import annotations

import json
from typing import TypeVar

from fastapi import Request
from pydantic import JsonValue, ValidationError

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire_model import WireModel

_Model = TypeVar("_Model", bound=WireModel)
_DEEPEST = 64  # as far as .NET reads, and no recursion of ours ends before


async def read_plain(request: Request) -> JsonValue:
    """The body as it was sent; an empty one is an error of its own kind (§1.4).

    What Python reads and no answer could hold is refused too: NaN, numbers beyond all bounds, halves of characters.
    """
    try:
        body: JsonValue = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        is_too_deep = _depth(body) > _DEEPEST
    except (ValueError, RecursionError) as error:
        raise MalformedError("$", f"The request body is no JSON: {error}") from error
    if is_too_deep:
        raise MalformedError("$", f"The request body is nested deeper than {_DEEPEST} levels.")
    return body


def _depth(value: JsonValue) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)


async def read(request: Request, kind: type[_Model], *, optional: bool = False) -> _Model:
    """Read an object. An `optional` one may be missing or null, which reads as an empty one."""
    is_nothing = optional and (await request.body()).strip() in {b"", b"null"}
    return model_of({} if is_nothing else await read_plain(request), kind)


def model_of(body: object, kind: type[_Model], where: str = "$") -> _Model:
    """Check a body; raise MalformedError for the first value of a wrong type (§1.4)."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        name = path.removeprefix(".") if where == "$" else where + path
        raise MalformedError(name or "$", f"The JSON value could not be converted: {first['msg']}.") from None


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
