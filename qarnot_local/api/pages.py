"""Pages of a list (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import JsonValue

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.filters import Comparable, Condition, check_field, check_filter, comparable, field_of, matches
from qarnot_local.runtime.jobs import Job
from qarnot_local.runtime.pools import Pool
from qarnot_local.runtime.tasks import Task
from qarnot_local.wire import View
from qarnot_local.wire_model import WireModel

_Record = TypeVar("_Record", Task, Job, Pool)
_Position = tuple[object, str]  # what the list is ordered by, and the record's place among all
_PAGE = 50
_ORDERS = {"asc", "ascending", "desc", "descending"}


class PageRequest(WireModel):
    filter: Condition | None = None
    token: JsonValue = None
    maximum_results: int | None = None
    order_by: str | None = None
    order_type: str | None = None


def page(records: Iterable[_Record], view: Callable[[_Record], View], fields: View, request: PageRequest) -> View:
    """Return one page. Its token names the last record, so that the next page does not change with what comes or goes.

    Arguments:
        records: the whole list.
        view: returns the view of a record.
        fields: a view with all fields, to check the names in the request.
        request: which page.
    """
    order, direction, token = request.order_by, (request.order_type or "asc").casefold(), request.token
    check_filter(request.filter, fields)
    if order:
        check_field(order, fields, "orderBy")
    if direction not in _ORDERS:
        raise MalformedError("orderType", f"Unknown order: {request.order_type}")
    listed = [
        ((field_of(each, str(order)) if order else None, _place(record)), each)
        for record in records
        if matches(each := view(record), request.filter)
    ]
    is_descending = not order or direction.startswith("desc")
    listed.sort(key=lambda item: _key(item[0]), reverse=is_descending)
    rest = listed
    if token:
        last = _key(_position_in(token))
        rest = [item for item in listed if (_key(item[0]) < last if is_descending else _key(item[0]) > last)]
    wanted = request.maximum_results or 0
    size = min(wanted, _PAGE) if wanted > 0 else _PAGE
    is_truncated = len(rest) > size
    data = rest[:size]
    return {
        "data": [each for _, each in data],
        "count": len(data),
        "total": len(listed),
        "isTruncated": is_truncated,
        "nextToken": _token_of(data[-1][0]) if is_truncated else None,
        "token": token,
    }


def _place(record: Task | Job | Pool) -> str:
    """Newer ones come after older ones; two of one moment have an order too."""
    return f"{record.created.isoformat(timespec='microseconds')} {record.uuid}"


def _key(position: _Position) -> tuple[Comparable, str]:
    value, place = position
    return comparable(value), place


def _token_of(position: _Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position_in(token: JsonValue) -> _Position:
    try:
        value, place = json.loads(base64.b64decode(str(token), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedError("token", "The token is none of this cluster.") from error
    return value, str(place)
