"""Lists and searches (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from qarnot_local.api.context import Context
from qarnot_local.api.filters import Condition, check_filter, chosen, matches
from qarnot_local.api.pages import PageRequest, page
from qarnot_local.api.requests import query, read
from qarnot_local.api.views import summary_of, task_view
from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire import View
from qarnot_local.wire_model import WireModel

FIELDS: View = task_view(Task(TaskDefinition()), lambda _: None)


class Select(WireModel):
    fields_: list[str] = Field([], alias="fields")


class Search(WireModel):
    """A search: which records, how many, and which fields of them; Python sends these as a plain list."""

    filter: Condition | None = None
    maximum_results: int | None = None
    select: list[str] | Select | None = None

    @property
    def chosen(self) -> list[str]:
        return self.select.fields_ if isinstance(self.select, Select) else self.select or []


def add_routes(app: FastAPI, world: Context) -> None:
    def views() -> list[View]:
        """Newest first."""
        return [world.view(task) for task in reversed(list(world.manager.tasks))]

    def tagged(request: Request) -> list[View]:
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
        return JSONResponse(page(world.manager.tasks, world.view, FIELDS, await read(request, PageRequest)))

    @app.post("/tasks/summaries/paginate")
    async def paginate_summaries(request: Request) -> Response:
        whole = page(world.manager.tasks, world.view, FIELDS, await read(request, PageRequest))
        return JSONResponse({**whole, "data": [summary_of(view) for view in whole["data"]]})

    @app.post("/tasks/search")
    async def search(request: Request) -> Response:
        return JSONResponse(selected(views(), FIELDS, await read(request, Search)))


def selected(views: list[View], known: View, search: Search) -> list[View]:
    """Return the answer to a search: filtered, shortened, with the selected fields only.

    Arguments:
        views: the whole list.
        known: a view with all fields, to check those of the filter.
        search: the request.
    """
    check_filter(search.filter, known)
    kept = [view for view in views if matches(view, search.filter)]
    wanted = search.maximum_results or 0
    kept = kept[:wanted] if wanted > 0 else kept
    return [chosen(view, search.chosen) for view in kept] if search.chosen else kept
