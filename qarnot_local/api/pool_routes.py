"""Pools (`reference/qarnot-platform.md` §2bis): only records; their tasks run like all other tasks."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from qarnot_local.api import definitions
from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError, MalformedError
from qarnot_local.api.listing import Search, selected
from qarnot_local.api.pages import PageRequest, page
from qarnot_local.api.pool_checks import check_policies, wrong_pool
from qarnot_local.api.requests import query, read
from qarnot_local.api.submission import POOL_CONSTANTS, change, make_pool
from qarnot_local.api.views import job_view, pool_summary_of, pool_view
from qarnot_local.runtime.definition import ElasticProperty, PoolDefinition, PoolUpdate, Scaling
from qarnot_local.runtime.pools import Pool
from qarnot_local.wire import View

_FIELDS: View = pool_view(Pool(PoolDefinition()), [])


def add_routes(app: FastAPI, world: Context) -> None:
    manager = world.manager

    def view(pool: Pool) -> View:
        return pool_view(pool, manager.tasks_of(pool))

    def views() -> list[View]:
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
        return submit(make_pool(world, await read(request, PoolDefinition)))

    @app.get("/pools")
    async def every(request: Request) -> list[View]:
        tag = query(request, "tag")
        return [each for each in views() if tag is None or tag in each["tags"]]

    @app.get("/pools/summaries")
    async def summaries() -> list[View]:
        return [pool_summary_of(each) for each in views()]

    @app.post("/pools/paginate")
    async def paginate(request: Request) -> View:
        return page(manager.pools, view, _FIELDS, await read(request, PageRequest))

    @app.post("/pools/summaries/paginate")
    async def paginate_summaries(request: Request) -> View:
        whole = page(manager.pools, view, _FIELDS, await read(request, PageRequest))
        return {**whole, "data": [pool_summary_of(each) for each in whole["data"]]}

    @app.post("/pools/search")
    async def search(request: Request) -> list[View]:
        return selected(views(), _FIELDS, await read(request, Search))

    @app.get("/pools/{name}")
    async def show(name: str) -> View:
        return view(find(name))

    @app.put("/pools/{name}")
    async def update(name: str, request: Request) -> Response:
        """Constants, tags, elastic property and scaling; nothing else is changed."""
        pool = find(name)
        pool.definition = _changed(pool.definition, await read(request, PoolUpdate))
        manager.pools.save(pool)
        return Response()

    @app.patch("/pools/{name}")
    async def refresh(name: str) -> Response:
        """Tasks of a pool get new resources when they start; a pool has no machine before."""
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
        given = await read(request, PoolDefinition, optional=True)
        return submit(make_pool(world, definitions.overridden(pool.definition, given), is_clone=True))

    @app.get("/pools/{name}/jobs")
    async def jobs(name: str) -> list[View]:
        uuid = find(name).uuid
        return [job_view(job) for job in manager.jobs if job.definition.pool_uuid == uuid]

    @app.get("/pools/{name}/tasks")
    async def tasks(name: str) -> list[View]:
        return [world.view(task) for task in manager.tasks_of(find(name))]

    @app.get("/pools/{name}/scaling")
    async def scaling(name: str) -> View:
        found: View = view(find(name))["scaling"]
        return found

    @app.put("/pools/{name}/scaling")
    async def rescale(name: str, request: Request) -> View:
        pool = find(name)
        pool.definition.scaling = await _scaling(request)
        manager.pools.save(pool)
        found: View = view(pool)["scaling"]
        return found

    @app.post("/sanity-checks/pools/scaling")
    async def check_scaling(request: Request) -> Response:
        await _scaling(request)
        return Response()

    for stream in ("stdout", "stderr"):
        for path in (f"/pools/{{name}}/{stream}", f"/pools/{{name}}/{stream}/{{instance}}"):

            @app.api_route(path, methods=["GET", "POST"])
            async def output(name: str) -> Response:
                """Always empty: the machines of a pool run only its tasks."""
                find(name)
                return PlainTextResponse("")


async def _scaling(request: Request) -> Scaling:
    """The policies of a request that is about nothing else."""
    scaling = await read(request, Scaling)
    if "policies" not in scaling.given:
        raise MalformedError("policies", "The input was not valid.")
    check_policies(scaling)
    return scaling


def _changed(own: PoolDefinition, given: PoolUpdate) -> PoolDefinition:
    """The definition after an update; the pool still has the one before."""
    elastic = given.elastic_property or ElasticProperty()
    new = own.model_copy(deep=True)
    new.elastic_property = definitions.merged(own.elastic_property, elastic, elastic.given)
    new.scaling = given.scaling or new.scaling
    check_policies(new.scaling)
    if wrong := wrong_pool(new, given.elastic_property):
        raise ApiError(400, f"Invalid pool file. Invalid fields: {', '.join(wrong)}")
    change(new, given, POOL_CONSTANTS)
    return new
