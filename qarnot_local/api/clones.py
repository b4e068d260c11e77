"""Clone a task, or retry, resume or recover its instances that failed or were cancelled (§2.1)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from qarnot_local.api import definitions
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.requests import find_task, read
from qarnot_local.api.submission import make_task
from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.tasks import CANCELLED, FAILURE, Task, range_text

_AGAIN = {"retry": {FAILURE}, "resume": {CANCELLED}, "recover": {FAILURE, CANCELLED}}


def add_routes(app: FastAPI, world: Context) -> None:
    @app.post("/tasks/{name}/clone")
    async def clone(name: str, request: Request) -> Response:
        return _submit(world, find_task(world, name), await read(request, TaskDefinition, optional=True))

    def add(verb: str, states: set[str]) -> None:
        @app.post(f"/tasks/{{name}}/{verb}")
        async def again(name: str, request: Request) -> Response:
            task = find_task(world, name)
            if not task.is_final:
                raise ApiError(403, f"Can't {verb} the task")
            chosen = [each.number for each in task.instances if (each.state or task.state) in states]
            if not chosen:
                raise ApiError(400, f"There is no instance to {verb}")
            given = await read(request, TaskDefinition, optional=True)
            given.advanced_ranges = range_text(chosen)
            return _submit(world, task, given)

    for verb, states in _AGAIN.items():
        add(verb, states)

    @app.post("/tasks/{name}/restart")
    async def restart(name: str) -> Response:
        find_task(world, name)
        raise ApiError(400, "Restarting a task is not possible any more. Clone it instead.")


def _submit(world: Context, task: Task, given: TaskDefinition) -> Response:
    new = make_task(world, definitions.overridden(task.definition, given), given)
    world.manager.submit(new)
    return JSONResponse({"uuid": new.uuid}, headers={"Location": f"/tasks/{new.uuid}"})
