"""What every request meets before its route: path repair, the record, scripted trouble, authentication."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qarnot_local.access import Access
from qarnot_local.api import control_routes, errors
from qarnot_local.api.paths import Paths
from qarnot_local.control.faults import LOST, RESET, TIMEOUT, Call, Fault, Faults
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
        use(self._clock)  # uvicorn starts each request in a context of its own
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
            await _Trouble(fault, answer, self._faults)(scope, receive, recorder)
        else:
            await answer(scope, receive, recorder)

    def _route_of(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return str(getattr(route, "path", ""))
        return str(scope["path"])


class _Recorder:
    """Passes the answer on with its date, by the cluster's clock, and notes its status."""

    def __init__(self, call: Call, send: Send, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self.send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._call.end(message["status"])
            date = format_datetime(self._clock.now(), usegmt=True).encode()
            message = {**message, "headers": [*message.get("headers", ()), (b"date", date)]}
        await self.send(message)


class _Trouble:
    """Answers, or does not, as a fault says."""

    def __init__(self, fault: Fault, app: ASGIApp, faults: Faults) -> None:
        self._fault = fault
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: _Recorder) -> None:
        how = self._fault.how
        if how == LOST:
            await self._app(scope, receive, _nowhere)
        if how in {LOST, RESET}:
            await _read_all(receive)
            _reset(send.send)
        elif how == TIMEOUT:
            await self._never(receive)
        else:
            await _answer_of(self._fault)(scope, receive, send)

    async def _never(self, receive: Receive) -> None:
        """Until the client gives up or the cluster stops."""
        gone = asyncio.create_task(_gone(receive))
        while not gone.done() and not self._faults.stopping.is_set():
            await asyncio.wait({gone}, timeout=0.1)
        gone.cancel()


async def _nowhere(message: Message) -> None:
    """An answer that is lost."""


async def _read_all(receive: Receive) -> None:
    """What came with the request, so that the client gets to the point of waiting for an answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _reset(send: Send) -> None:
    """Reset the connection. `send` is a method of uvicorn's request cycle, which alone knows the connection."""
    transport: Any = getattr(send, "__self__").transport  # noqa: B009 - a protocol says nothing of it
    # Lingering for 0 seconds turns the close into a reset.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


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
