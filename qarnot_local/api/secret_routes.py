"""Secrets (`reference/qarnot-platform.md` §5). Keys may hold slashes, so the routes end in a path."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import JsonValue

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.requests import read
from qarnot_local.runtime.secrets_store import ConflictError
from qarnot_local.wire_model import WireModel


class _Secret(WireModel):
    value: JsonValue = None


def add_routes(app: FastAPI, world: Context) -> None:
    secrets = world.secrets

    @app.get("/secrets-manager/data/{key:path}")
    async def show(key: str) -> dict[str, str]:
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
    async def every() -> dict[str, list[str]]:
        return {"keys": secrets.below("") or []}

    @app.get("/secrets-manager/search/{prefix:path}")
    async def search(prefix: str) -> dict[str, list[str]]:
        found = secrets.below(prefix)
        if found is None:
            raise _unknown(prefix)
        return {"keys": found}


def _unknown(key: str) -> ApiError:
    return ApiError(404, f"No such secret: {key}")


async def _value(request: Request) -> str:
    value = (await read(request, _Secret)).value
    if not isinstance(value, str):
        raise ApiError(400, "Invalid secret. Invalid fields: value")
    return value
