"""Lists, pages, filters and searches (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from run_qarnot.cluster.api.errors import MalformedError
from run_qarnot.cluster.api.kinds import check
from run_qarnot.cluster.api.requests import query, read_object
from run_qarnot.cluster.api.views import summary_of
from run_qarnot.cluster.api.world import World

_View = dict[str, Any]
_PAGE = 50
_MISSING = object()


def add_routes(app: FastAPI, world: World) -> None:
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
        return JSONResponse(page(views(), await read_object(request)))

    @app.post("/tasks/summaries/paginate")
    async def paginate_summaries(request: Request) -> Response:
        whole = page(views(), await read_object(request))
        return JSONResponse({**whole, "data": [summary_of(view) for view in whole["data"]]})

    @app.post("/tasks/search")
    async def search(request: Request) -> Response:
        return JSONResponse(selected(views(), await read_object(request)))


def page(views: list[_View], body: _View) -> _View:
    """One page; the token is opaque to clients (here the number of those already given)."""
    kept = _ordered([view for view in views if matches(view, body.get("filter"))], body)
    token = body.get("token")
    start = int(token) if isinstance(token, str) and token.isdigit() else 0
    wanted = body.get("maximumResults")
    size = min(wanted, _PAGE) if isinstance(wanted, int) and wanted > 0 else _PAGE
    data = kept[start : start + size]
    is_truncated = start + size < len(kept)
    following = str(start + size) if is_truncated else None
    return {
        "data": data,
        "count": len(data),
        "total": len(kept),
        "isTruncated": is_truncated,
        "nextToken": following,
        "token": token,
    }


def selected(views: list[_View], body: _View) -> list[_View]:
    """The answer to a search: filtered, shortened, with the selected fields only."""
    select = body.get("select")
    fields = (select.get("fields") if isinstance(select, dict) else select) or []
    check(fields, [str], "select.fields")
    kept = [view for view in views if matches(view, body.get("filter"))]
    wanted = body.get("maximumResults")
    kept = kept[:wanted] if isinstance(wanted, int) and wanted > 0 else kept
    if not fields:
        return kept
    names = {field.casefold() for field in fields}
    return [{key: value for key, value in view.items() if key.casefold() in names} for view in kept]


def matches(view: _View, condition: Any) -> bool:
    """Whether a task or job meets a filter, a tree of And, Or and comparisons. Fields come in PascalCase."""
    if not condition:
        return True
    if not isinstance(condition, dict):
        raise MalformedError("filter", "The filter is not an object.")
    operator = str(condition.get("operator")).casefold()
    if operator in {"and", "or"}:
        parts = condition.get("filters") or []
        check(parts, [dict], "filter.filters")
        answers = [matches(view, each) for each in parts]
        return all(answers) if operator == "and" else any(answers)
    compare = _COMPARISONS.get(operator)
    if compare is None:
        raise MalformedError("filter.operator", f"Unknown operator: {condition.get('operator')}")
    given = condition.get("values", condition.get("value"))
    return compare(_field(view, str(condition.get("field"))), given)


def _field(view: _View, name: str) -> Any:
    return next((value for key, value in view.items() if key.casefold() == name.casefold()), _MISSING)


def _equal(own: Any, given: Any) -> bool:
    return given in own if isinstance(own, list) else own == given


def _one_of(own: Any, given: Any) -> bool:
    return any(_equal(own, each) for each in (given if isinstance(given, list) else [given]))


def _ordering(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(own: Any, given: Any) -> bool:
        try:
            return own is not _MISSING and own is not None and test(own, given)
        except TypeError:
            return False

    return compare


def _like(own: Any, given: Any) -> bool:
    """`%` stands for any text; without one, the value is searched anywhere."""
    pattern = ".*".join(re.escape(part) for part in str(given).split("%"))
    return isinstance(own, str) and bool((re.fullmatch if "%" in str(given) else re.search)(pattern, own))


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": _equal,
    "notequal": lambda own, given: not _equal(own, given),
    "in": _one_of,
    "notin": lambda own, given: not _one_of(own, given),
    "lessthan": _ordering(lambda own, given: own < given),
    "lessthanorequal": _ordering(lambda own, given: own <= given),
    "greaterthan": _ordering(lambda own, given: own > given),
    "greaterthanorequal": _ordering(lambda own, given: own >= given),
    "like": _like,
}


def _ordered(views: list[_View], body: _View) -> list[_View]:
    field = body.get("orderBy")
    if not field:
        return views
    is_descending = str(body.get("orderType") or "ASC").casefold().startswith("desc")
    return sorted(views, key=lambda view: str(_field(view, str(field))), reverse=is_descending)
