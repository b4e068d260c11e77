"""Secrets (`reference/qarnot-platform.md` §5). Keys may hold slashes, so the routes end in a path."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.requests import read_object
from qarnot_local.runtime.secrets_store import ConflictError


def add_routes(app: FastAPI, world: Context) -> None:
    secrets = world.secrets

    @app.get("/secrets-manager/data/{key:path}")
    async def read(key: str) -> dict[str, str]:
        value = secrets.get(key)
        if value is None:
            raise _unknown(key)
        return {"value": value}

    @app.put("/secrets-manager/data/{key:path}")
    async def create(key: str, request: Request) -> Response:
        try:
            secrets.create(key, await _value(request))
        except ConflictError:
            raise ApiError(409, f"Secret already exists: {key}") from None
        return Response()

    @app.patch("/secrets-manager/data/{key:path}")
    async def update(key: str, request: Request) -> Response:
        if not secrets.update(key, await _value(request)):
            raise _unknown(key)
        return Response()

    @app.delete("/secrets-manager/data/{key:path}")
    async def delete(key: str) -> Response:
        if not secrets.delete(key):
            raise _unknown(key)
        return Response()

    @app.get("/secrets-manager/search")
    async def every() -> dict[str, Any]:
        return {"keys": secrets.below("") or []}

    @app.get("/secrets-manager/search/{prefix:path}")
    async def search(prefix: str) -> dict[str, Any]:
        found = secrets.below(prefix)
        if found is None:
            raise _unknown(prefix)
        return {"keys": found}


def _unknown(key: str) -> ApiError:
    return ApiError(404, f"No such secret: {key}")


async def _value(request: Request) -> str:
    value = (await read_object(request)).get("value")
    if not isinstance(value, str):
        raise ApiError(400, "Invalid secret. Invalid fields: value")
    return value
