"""Jobs (`reference/qarnot-platform.md` §2bis)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from qarnot_local.api.context import Context
from qarnot_local.api.errors import ApiError
from qarnot_local.api.listing import Search, selected
from qarnot_local.api.pages import PageRequest, page
from qarnot_local.api.requests import find_job, query, read
from qarnot_local.api.submission import make_job
from qarnot_local.api.views import job_view
from qarnot_local.runtime.definition import JobDefinition
from qarnot_local.runtime.jobs import Job
from qarnot_local.wire import View

_FIELDS: View = job_view(Job(JobDefinition()))


def add_routes(app: FastAPI, world: Context) -> None:
    manager = world.manager

    def views() -> list[View]:
        return [job_view(job) for job in reversed(list(manager.jobs))]

    @app.post("/jobs")
    async def submit(request: Request) -> Response:
        job = make_job(world, await read(request, JobDefinition))
        manager.add_job(job)
        return JSONResponse({"uuid": job.uuid}, headers={"Location": f"/jobs/{job.uuid}"})

    @app.get("/jobs")
    async def every(request: Request) -> list[View]:
        tag = query(request, "tag")
        return [view for view in views() if tag is None or tag in view["tags"]]

    @app.post("/jobs/paginate")
    async def paginate(request: Request) -> View:
        return page(manager.jobs, job_view, _FIELDS, await read(request, PageRequest))

    @app.post("/jobs/search")
    async def search(request: Request) -> list[View]:
        return selected(views(), _FIELDS, await read(request, Search))

    @app.get("/jobs/{name}")
    async def show(name: str) -> View:
        return job_view(find_job(world, name))

    @app.get("/jobs/{name}/tasks")
    async def tasks(name: str) -> list[View]:
        return [world.view(task) for task in manager.tasks_of(find_job(world, name))]

    @app.post("/jobs/{name}/terminate")
    async def terminate(name: str) -> Response:
        manager.terminate(find_job(world, name))
        return Response()

    @app.delete("/jobs/{name}")
    async def delete(name: str, request: Request) -> Response:
        job = find_job(world, name)
        is_busy = any(not task.is_final for task in manager.tasks_of(job))
        if is_busy and (query(request, "force") or "").casefold() != "true":
            raise ApiError(403, "The job has running tasks")
        manager.delete_job(job)
        return Response()
