"""stdout and stderr, whole or since the last read (`reference/qarnot-platform.md` §2.5)."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.requests import find_task
from qarnot_local.runtime.output import Output, Tail


def add_routes(app: FastAPI, world: Context) -> None:
    for stream in ("stdout", "stderr"):
        _add_stream(app, world, stream)


def _add_stream(app: FastAPI, world: Context, stream: str) -> None:
    def output(name: str) -> Output:
        found: Output = getattr(find_task(world, name), stream)
        return found

    def instance_tail(name: str, instance: str) -> Tail:
        task = find_task(world, name)
        if instance not in {str(each.number) for each in task.instances}:
            raise ApiError(404, f"No such task instance: {instance}")
        return output(name).instances.setdefault(int(instance), Tail())

    @app.get(f"/tasks/{{name}}/{stream}")
    async def whole(name: str) -> Response:
        return PlainTextResponse(output(name).aggregate.everything())

    @app.post(f"/tasks/{{name}}/{stream}")
    async def fresh(name: str) -> Response:
        return PlainTextResponse(output(name).aggregate.unread())

    @app.get(f"/tasks/{{name}}/{stream}/{{instance}}")
    async def instance_whole(name: str, instance: str) -> Response:
        return PlainTextResponse(instance_tail(name, instance).everything())

    @app.post(f"/tasks/{{name}}/{stream}/{{instance}}")
    async def instance_fresh(name: str, instance: str) -> Response:
        return PlainTextResponse(instance_tail(name, instance).unread())
