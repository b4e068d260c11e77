"""Pools (`reference/qarnot-platform.md` §2bis): kept as records; their tasks run like all others."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from qarnot_local.api import definitions
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.api.field_types import check_fields
from qarnot_local.api.listing import selected
from qarnot_local.api.pages import page
from qarnot_local.api.pool_checks import check_policies, wrong_pool
from qarnot_local.api.requests import query, read_object
from qarnot_local.api.submission import POOL_CONSTANTS, change, make_pool
from qarnot_local.api.views import job_view, pool_summary_of, pool_view
from qarnot_local.runtime.pools import Pool

_CHANGEABLE = ("elasticProperty", "scaling")
_FIELDS: dict[str, Any] = pool_view(Pool(definitions.POOL), [])


def add_routes(app: FastAPI, world: Context) -> None:
    manager = world.manager

    def view(pool: Pool) -> dict[str, Any]:
        return pool_view(pool, manager.tasks_of(pool))

    def views() -> list[dict[str, Any]]:
        return [view(pool) for pool in reversed(list(manager.pools))]

    def find(name: str) -> Pool:
        pool = manager.pools.find(name)
        if pool is None:
            raise ApiError(404, f"No such pool: {name}")
        return pool

    def submit(pool: Pool) -> Response:
        manager.add_pool(pool)
        return JSONResponse({"uuid": pool.uuid}, headers={"Location": f"/pools/{pool.uuid}"})

    @app.post("/pools")
    async def create(request: Request) -> Response:
        return submit(make_pool(world, await read_object(request)))

    @app.get("/pools")
    async def every(request: Request) -> list[dict[str, Any]]:
        tag = query(request, "tag")
        return [each for each in views() if tag is None or tag in each["tags"]]

    @app.get("/pools/summaries")
    async def summaries() -> list[dict[str, Any]]:
        return [pool_summary_of(each) for each in views()]

    @app.post("/pools/paginate")
    async def paginate(request: Request) -> dict[str, Any]:
        return page(manager.pools, view, _FIELDS, await read_object(request))

    @app.post("/pools/summaries/paginate")
    async def paginate_summaries(request: Request) -> dict[str, Any]:
        whole = page(manager.pools, view, _FIELDS, await read_object(request))
        return {**whole, "data": [pool_summary_of(each) for each in whole["data"]]}

    @app.post("/pools/search")
    async def search(request: Request) -> list[dict[str, Any]]:
        return selected(views(), _FIELDS, await read_object(request))

    @app.get("/pools/{name}")
    async def read(name: str) -> dict[str, Any]:
        return view(find(name))

    @app.put("/pools/{name}")
    async def update(name: str, request: Request) -> Response:
        """Constants, tags, elastic property and scaling; nothing else is changed."""
        pool = find(name)
        pool.definition = _changed(pool.definition, await read_object(request))
        manager.pools.save(pool)
        return Response()

    @app.patch("/pools/{name}")
    async def refresh(name: str) -> Response:
        """New resources reach the tasks of a pool when they start: there is no machine to bring them to before."""
        if not find(name).is_open:
            raise ApiError(400, "Pool is not running")
        return Response()

    @app.delete("/pools/{name}")
    async def delete(name: str) -> Response:
        manager.delete_pool(find(name))
        return Response()

    @app.post("/pools/{name}/close")
    async def close(name: str) -> Response:
        manager.close_pool(find(name))
        return Response()

    @app.post("/pools/{name}/clone")
    async def clone(name: str, request: Request) -> Response:
        pool = find(name)
        body = await read_object(request, optional=True)
        return submit(make_pool(world, definitions.overridden(pool.definition, body, definitions.POOL), is_clone=True))

    @app.get("/pools/{name}/jobs")
    async def jobs(name: str) -> list[dict[str, Any]]:
        uuid = find(name).uuid
        return [job_view(job) for job in manager.jobs if job.definition["poolUuid"] == uuid]

    @app.get("/pools/{name}/tasks")
    async def tasks(name: str) -> list[dict[str, Any]]:
        return [world.view(task) for task in manager.tasks_of(find(name))]

    @app.get("/pools/{name}/scaling")
    async def scaling(name: str) -> dict[str, Any]:
        found: dict[str, Any] = view(find(name))["scaling"]
        return found

    @app.put("/pools/{name}/scaling")
    async def rescale(name: str, request: Request) -> dict[str, Any]:
        pool, body = find(name), await read_object(request)
        pool.definition["scaling"] = {"policies": _policies(body)}
        manager.pools.save(pool)
        found: dict[str, Any] = view(pool)["scaling"]
        return found

    @app.post("/sanity-checks/pools/scaling")
    async def check_scaling(request: Request) -> Response:
        _policies(await read_object(request))
        return Response()

    for stream in ("stdout", "stderr"):
        for path in (f"/pools/{{name}}/{stream}", f"/pools/{{name}}/{stream}/{{instance}}"):

            @app.api_route(path, methods=["GET", "POST"])
            async def output(name: str) -> Response:
                """A pool prints nothing here: its machines start nothing but its tasks."""
                find(name)
                return PlainTextResponse("")


def _policies(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a request that is about nothing else."""
    check_policies(body)
    found: list[dict[str, Any]] | None = body.get("policies")
    if found is None:
        raise MalformedError("policies", "The input was not valid.")
    return found


def _changed(definition: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The definition after an update; the pool still has the one before."""
    check_fields(body, _CHANGEABLE)
    new = dict(definition)
    for field in _CHANGEABLE:
        new[field] = new[field] | {key: value for key, value in (body.get(field) or {}).items() if value is not None}
    check_policies(new["scaling"])
    if wrong := wrong_pool(new, body):
        raise ApiError(400, f"Invalid pool file. Invalid fields: {', '.join(wrong)}")
    change(new, body, POOL_CONSTANTS)
    return new
