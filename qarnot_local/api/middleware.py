"""Middleware of the API: path repair, the record of calls, scripted faults, authentication."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qarnot_local.access import Access
from qarnot_local.api import control_routes, errors
from qarnot_local.api.paths import Paths
from qarnot_local.control.faults import Call, Fault, Faults
from qarnot_local.control.trouble import Recorder, play
from qarnot_local.runtime.clock import Clock, use

_OPEN = {"/settings", "/versions"}  # answered without a token (§0.2)


class Middleware:
    def __init__(self, app: FastAPI, access: Access, faults: Faults, clock: Clock) -> None:
        self._clock = clock
        self._app: ASGIApp = app
        self._routes = app.routes
        self._paths = Paths(app.routes)
        self._access = access
        self._faults = faults
        for route in app.routes:
            path = str(getattr(route, "path", ""))
            for method in getattr(route, "methods", None) or () if not path.startswith(control_routes.PREFIX) else ():
                faults.know(method, path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        use(self._clock)  # uvicorn runs each request in a new context
        path = self._paths.repaired(scope["method"], scope["path"])
        scope = {**scope, "path": path, "raw_path": path.encode()}
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if path == control_routes.PREFIX or path.startswith(control_routes.PREFIX + "/"):
            await (self._app if self._access.knows(given) else errors.unauthorized())(scope, receive, send)
            return
        call, delay, fault = self._faults.begin(
            scope["method"], self._route_of(scope), path, {name.decode("latin-1") for name, _ in scope["headers"]}
        )
        await asyncio.sleep(delay)
        is_welcome = path in _OPEN or self._access.admits(given)
        answer = self._app if is_welcome else errors.unauthorized()
        recorder = _Recorder(call, send, self._clock)
        if fault:
            await play(fault, answer, _answer_of(fault), self._faults, (scope, receive, recorder))
        else:
            await answer(scope, receive, recorder)

    def _route_of(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return str(getattr(route, "path", ""))
        return str(scope["path"])


class _Recorder(Recorder):
    """Adds the date to the answer, by the cluster's clock."""

    def __init__(self, call: Call, send: Send, clock: Clock) -> None:
        super().__init__(call, send)
        self._clock = clock

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            date = format_datetime(self._clock.now(), usegmt=True).encode()
            message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
        await super().__call__(message)


def _answer_of(fault: Fault) -> Response:
    status = fault.status or 500
    if isinstance(fault.body, str):
        kind = "text/html" if fault.body.lstrip().startswith("<") else "text/plain"
        return Response(fault.body, status, fault.headers, kind)
    if fault.body is not None:
        return JSONResponse(fault.body, status, fault.headers)
    if status == HTTPStatus.UNAUTHORIZED:
        return errors.unauthorized()
    usual = {402: "Not enough credits", 403: "Forbidden"}
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    return JSONResponse({"message": usual.get(status, phrase)}, status, fault.headers)
