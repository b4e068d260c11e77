"""`/_control`: the control of `qarnot_local/control/control.py` over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.background import BackgroundTask

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.api.requests import read_plain
from qarnot_local.control import checks as checks
from qarnot_local.control.faults import ControlError

PREFIX = "/_control"
_VERBS = set(
    """fail_next delay accept expire_token restore_token refuse_skew full_quota set_quota advance pace preempt hold
    release count clear_calls routes check reset ignore_header""".split()
)


def add_routes(app: FastAPI, world: Context) -> None:
    control = world.control

    @app.get(PREFIX)
    async def state() -> dict[str, Any]:
        return await asyncio.to_thread(control.state)

    @app.get(PREFIX + "/calls")
    async def calls() -> list[dict[str, Any]]:
        return [call.answer() for call in control.calls]

    @app.post(PREFIX + "/refuse")
    async def refuse(request: Request) -> Response:
        """Refuse connections after this answer is sent. The time is limited, because no request could end it."""
        seconds = (await _arguments(request)).get("seconds")
        try:
            checks.number("seconds", seconds, 0, checks.LONGEST_SECONDS)
        except ControlError as error:
            raise ApiError(400, f"Say for how many seconds: {error}") from error
        return JSONResponse({"result": None}, background=BackgroundTask(asyncio.to_thread, control.refuse, seconds))

    @app.post(PREFIX + "/{verb}")
    async def act(verb: str, request: Request) -> dict[str, Any]:
        name = _snake(verb)
        if name not in _VERBS:
            raise ApiError(404, f"No such control: {verb}. There are {', '.join(sorted(_VERBS))}.")
        arguments = await _arguments(request)
        try:
            return {"result": await asyncio.to_thread(getattr(control, name), **arguments)}
        except (ControlError, TypeError, ValueError, AttributeError) as error:
            raise ApiError(400, str(error)) from error


async def _arguments(request: Request) -> dict[str, Any]:
    try:
        given = await read_plain(request) if await request.body() else {}
    except MalformedError as error:
        raise ApiError(400, error.reason) from error
    if not isinstance(given, dict):
        raise ApiError(400, "The request body is not an object.")
    return {_snake(name): value for name, value in given.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).replace("-", "_").lower()
