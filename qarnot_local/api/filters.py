"""Fields of a view, and the filters of lists (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.field_types import check
from qarnot_local.wire import seconds

_View = dict[str, Any]
_FREE = {"labels"}  # the user names the fields inside


def check_filter(condition: Any, fields: _View) -> None:
    """Raise MalformedError for a filter with an unknown operator or field.

    Arguments:
        condition: a tree of And, Or and comparisons; none at all matches everything.
        fields: a view with all fields, whatever their values.
    """
    if not condition:
        return
    if not isinstance(condition, dict):
        raise MalformedError("filter", "The filter is not an object.")
    operator = _operator(condition)
    if operator in _NODES:
        parts = condition.get("filters") or []
        check(parts, [dict], "filter.filters")
        for part in parts:
            check_filter(part, fields)
    elif operator not in _COMPARISONS:
        raise MalformedError("filter.operator", f"Unknown operator: {condition.get('operator')}")
    else:
        check_field(condition.get("field"), fields, "filter.field")


def check_field(name: Any, fields: _View, where: str) -> None:
    """Raise MalformedError for the name of a field that does not exist. Paths end where the fields are the user's."""
    found: Any = fields
    for part in str(name).split("."):
        key = _key_of(found, part)
        if key is None:
            raise MalformedError(where, f"Unknown field: {name}")
        found = found[key]
        if key in _FREE or not isinstance(found, dict):
            return


def matches(view: _View, condition: Any) -> bool:
    """Whether a task, job or pool meets a checked filter. Fields come in PascalCase."""
    if not condition:
        return True
    operator = _operator(condition)
    if operator in _NODES:
        return _NODES[operator]([matches(view, each) for each in condition.get("filters") or []])
    given = condition.get("values", condition.get("value"))
    return _COMPARISONS[operator](field_of(view, str(condition.get("field"))), given)


def _operator(condition: _View) -> str:
    return str(condition.get("operator")).casefold()


def field_of(view: _View, name: str) -> Any:
    """The field by its name in any case, or, as C# says it, by its path: `Dependencies.DependsOn`. Else None."""
    found: Any = view
    for part in name.split("."):
        key = _key_of(found, part)
        found = found[key] if key else None
    return found


def chosen(view: _View, fields: list[str]) -> _View:
    """A view with these fields only."""
    result: _View = {}
    for field in fields:
        _copy(view, result, field.split("."))
    return result


def _copy(view: Any, result: _View, path: list[str]) -> None:
    key = _key_of(view, path[0])
    if key is None:
        return
    if len(path) == 1:
        result[key] = view[key]
    elif isinstance(view[key], dict):
        _copy(view[key], result.setdefault(key, {}), path[1:])


def _key_of(view: Any, name: str) -> str | None:
    keys = view if isinstance(view, dict) else ()
    return next((key for key in keys if key.casefold() == name.casefold()), None)


def comparable(value: Any) -> tuple[int, Any]:
    """Numbers by size, dates and durations by time, all else as text; each kind apart, and nothing before all."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    if (span := seconds(value)) is not None:
        return 2, span
    if (moment := _moment(value)) is not None:
        return 3, moment
    return 4, str(value)


def _moment(text: Any) -> datetime | None:
    """A date in any form of ISO 8601; without a zone it is UTC, as C# means it."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _equal(own: Any, given: Any) -> bool:
    return given in own if isinstance(own, list) else comparable(own) == comparable(given)


def _one_of(own: Any, given: Any) -> bool:
    return any(_equal(own, each) for each in (given if isinstance(given, list) else [given]))


def _ordering(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(own: Any, given: Any) -> bool:
        (kind, value), (other, wanted) = comparable(own), comparable(given)
        return kind == other != 0 and test(value, wanted)

    return compare


def _like(own: Any, given: Any) -> bool:
    """`%` stands for any text; without one, the value is searched anywhere."""
    pattern = ".*".join(re.escape(part) for part in str(given).split("%"))
    return isinstance(own, str) and bool((re.fullmatch if "%" in str(given) else re.search)(pattern, own))


_NODES: dict[str, Callable[[list[bool]], bool]] = {"and": all, "or": any}
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
