"""Puts the routes together, behind the two things that every request meets: path repair and authentication."""

from __future__ import annotations

import hmac
import re

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from run_qarnot.cluster.api import account, errors, job_routes, listing, outputs, snapshots, task_routes
from run_qarnot.cluster.api.world import World

_OPEN = {"/settings", "/versions"}  # answered without a token (§0.2)

# Words of our routes. Ids, profile names and the like keep their case.
_WORDS = set(
    """settings versions info profiles hardware-constraints cpu-model-constraints search tasks jobs summaries paginate
    abort snapshot periodic stdout stderr terminate credits accounts carbon carbon-facts quotas computing-quotas user
    organization clone v1 network port-forward""".split()
)


def make_app(world: World) -> ASGIApp:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.add_exception_handler(errors.ApiError, errors.answer_error)
    app.add_exception_handler(errors.MalformedError, errors.answer_malformed)
    for module in (account, listing, task_routes, outputs, snapshots, job_routes):
        module.add_routes(app, world)
    return _Entrance(app, world.token)


def repaired(path: str) -> str:
    """The path as our routes spell it: single slashes, no `/v1`, no final slash, words in lower case (§0.1)."""
    parts = [part.lower() if part.lower() in _WORDS else part for part in re.split("/+", path) if part]
    if len(parts) > 1 and parts[0] == "v1":
        parts = parts[1:]
    return "/" + "/".join(parts)


class _Entrance:
    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = repaired(scope["path"])
            scope = {**scope, "path": path, "raw_path": path.encode()}
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if path not in _OPEN and not hmac.compare_digest(given, self._token):
                await errors.unauthorized()(scope, receive, send)
                return
        await self._app(scope, receive, send)
