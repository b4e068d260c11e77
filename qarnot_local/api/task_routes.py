"""Tasks: submit, read, change, abort, delete (`reference/qarnot-platform.md` §2.1)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.api.port_forwards import port_forwards
from qarnot_local.api.requests import find_task, model_of, read, read_plain
from qarnot_local.api.submission import TASK_CONSTANTS, change, make_task
from qarnot_local.runtime import tasks
from qarnot_local.runtime.definition import TaskDefinition, Update
from qarnot_local.runtime.workspace import MissingBucketError
from qarnot_local.wire import View


def add_routes(app: FastAPI, world: Context) -> None:
    manager = world.manager

    @app.post("/tasks")
    async def submit(request: Request) -> Response:
        body = await read_plain(request)
        if isinstance(body, list):  # all are read before the first is started: one that is malformed spoils all
            many = [model_of(each, TaskDefinition, f"$[{number}]") for number, each in enumerate(body)]
            return JSONResponse([_one_of_many(world, each) for each in many], 207)
        task = make_task(world, model_of(body, TaskDefinition))
        manager.submit(task)
        return JSONResponse({"uuid": task.uuid}, headers={"Location": f"/tasks/{task.uuid}"})

    @app.get("/tasks/{name}")
    async def show(name: str) -> View:
        return world.view(find_task(world, name))

    @app.put("/tasks/{name}")
    async def update(name: str, request: Request) -> Response:
        """Constants and tags only; the SDK sends the whole task."""
        task = find_task(world, name)
        change(task.definition, await read(request, Update), TASK_CONSTANTS)
        task.touch()
        manager.tasks.save(task)
        return Response()

    @app.patch("/tasks/{name}")
    async def refresh(name: str) -> Response:
        task = find_task(world, name)
        run = manager.run_of(task)
        if run is None or task.state not in {tasks.EXECUTING, tasks.PARTLY_EXECUTING}:
            raise ApiError(400, "Task is not running")
        try:
            await run.refresh()
        except MissingBucketError as error:
            raise ApiError(404, str(error)) from None
        return Response()

    @app.delete("/tasks/{name}")
    async def delete(name: str) -> Response:
        manager.delete(find_task(world, name))
        return Response()

    @app.post("/tasks/{name}/abort")
    async def abort(name: str) -> Response:
        run = manager.run_of(find_task(world, name))
        if run is None or run.task.is_final:
            raise ApiError(403, "Can't abort the task")
        run.cancel()
        return Response()

    @app.get("/network/tasks/{name}/port-forward")
    async def forwards(name: str) -> View:
        return port_forwards(find_task(world, name))


def _one_of_many(world: Context, definition: TaskDefinition) -> View:
    try:
        task = make_task(world, definition)
    except ApiError as error:
        return {"statusCode": error.status, "uuid": None, "message": error.message}
    except MalformedError as error:  # those before it run: it must not be the answer to all
        return {"statusCode": 400, "uuid": None, "message": f"{error.field}: {error.reason}"}
    world.manager.submit(task)
    return {"statusCode": 200, "uuid": task.uuid, "message": ""}
