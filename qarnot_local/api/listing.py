"""Lists and searches (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from qarnot_local.api import definitions
from qarnot_local.api.context import Context
from qarnot_local.api.field_types import check
from qarnot_local.api.filters import check_filter, chosen, matches
from qarnot_local.api.pages import page
from qarnot_local.api.requests import query, read_object
from qarnot_local.api.views import summary_of, task_view
from qarnot_local.runtime.tasks import Task

_View = dict[str, Any]
FIELDS: _View = task_view(Task(definitions.TASK), lambda _: None)


def add_routes(app: FastAPI, world: Context) -> None:
    def views() -> list[_View]:
        """Newest first."""
        return [world.view(task) for task in reversed(list(world.manager.tasks))]

    def tagged(request: Request) -> list[_View]:
        tag = query(request, "tag")
        return [view for view in views() if tag is None or tag in view["tags"]]

    @app.get("/tasks")
    async def tasks(request: Request) -> Response:
        return JSONResponse(tagged(request))

    @app.get("/tasks/summaries")
    async def summaries(request: Request) -> Response:
        return JSONResponse([summary_of(view) for view in tagged(request)])

    @app.post("/tasks/paginate")
    async def paginate(request: Request) -> Response:
        return JSONResponse(page(world.manager.tasks, world.view, FIELDS, await read_object(request)))

    @app.post("/tasks/summaries/paginate")
    async def paginate_summaries(request: Request) -> Response:
        whole = page(world.manager.tasks, world.view, FIELDS, await read_object(request))
        return JSONResponse({**whole, "data": [summary_of(view) for view in whole["data"]]})

    @app.post("/tasks/search")
    async def search(request: Request) -> Response:
        return JSONResponse(selected(views(), FIELDS, await read_object(request)))


def selected(views: list[_View], known: _View, body: _View) -> list[_View]:
    """Return the answer to a search: filtered, shortened, with the selected fields only.

    Arguments:
        views: the whole list.
        known: a view with all fields, to check those of the filter.
        body: the request.
    """
    check({"maximumResults": body.get("maximumResults")}, {"maximumResults": int}, "$")
    check_filter(body.get("filter"), known)
    select = body.get("select")
    fields = (select.get("fields") if isinstance(select, dict) else select) or []
    check(fields, [str], "select.fields")
    kept = [view for view in views if matches(view, body.get("filter"))]
    wanted = body.get("maximumResults") or 0
    kept = kept[:wanted] if wanted > 0 else kept
    return [chosen(view, fields) for view in kept] if fields else kept
