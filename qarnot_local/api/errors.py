"""Error answers (`reference/qarnot-platform.md` §1.4): their bodies differ by status, and clients depend on it."""

from __future__ import annotations

import logging

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """An error with a status and `{"message": …}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def invalid(*fields: str) -> ApiError:
    return ApiError(400, f"Invalid task file. Invalid fields: {', '.join(fields)}")


async def answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse({"message": error.message}, error.status)


def unauthorized() -> Response:
    """401 is nested, unlike all others."""
    return JSONResponse({"error": {"message": "Bad authentication token", "code": 401}, "data": {}}, 401)


def malformed(field: str, reason: str) -> Response:
    """RFC 7807, for a body that is no JSON or has a value of a wrong type."""
    body = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "traceId": "local",
        "errors": {field: [reason]},
    }
    return JSONResponse(body, 400, media_type="application/problem+json")


class MalformedError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


async def answer_unrouted(request: Request, error: Exception) -> Response:
    """Answer 404 or 405."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


async def answer_malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, MalformedError)
    return malformed(error.field, error.reason)


class UnhandledErrors:
    """Middleware: logs an exception of the cluster and answers 500 as JSON; the connection stays open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # the top of a request: it must be answered  # noqa: BLE001
            _log.exception("%s %s ended by a fault of the local cluster", scope["method"], scope["path"])
            message = f"The local cluster failed: {type(error).__name__}. What happened stands in its log."
            await JSONResponse({"message": message}, 500)(scope, receive, send)
