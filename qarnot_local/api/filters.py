"""Fields of a view, and the filters of lists (`reference/qarnot-platform.md` §2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, JsonValue

from qarnot_local.api.errors import MalformedError
from qarnot_local.wire import View, seconds
from qarnot_local.wire_model import WireModel

Comparable = tuple[int, Any]
_FREE = {"labels"}  # the user names the fields inside


class Condition(WireModel):
    """A tree of And, Or and comparisons; an empty one matches everything."""

    operator: str | None = None
    filters: list[Condition] = Field(default_factory=list)
    field: JsonValue = None
    value: JsonValue = None
    values: JsonValue = None

    @property
    def kind(self) -> str:
        return str(self.operator).casefold()


def check_filter(condition: Condition | None, fields: View) -> None:
    """Raise MalformedError for a filter with an unknown operator or field.

    Arguments:
        condition: none at all matches everything.
        fields: a view with all fields, whatever their values.
    """
    if not condition or not condition.given:
        return
    if condition.kind in _NODES:
        for part in condition.filters:
            check_filter(part, fields)
    elif condition.kind not in _COMPARISONS:
        raise MalformedError("filter.operator", f"Unknown operator: {condition.operator}")
    else:
        check_field(condition.field, fields, "filter.field")


def check_field(name: object, fields: View, where: str) -> None:
    """Raise MalformedError for the name of a field that does not exist. Paths end where the fields are the user's."""
    found: object = fields
    for part in str(name).split("."):
        key = _key_of(found, part)
        if key is None or not isinstance(found, dict):
            raise MalformedError(where, f"Unknown field: {name}")
        found = found[key]
        if key in _FREE or not isinstance(found, dict):
            return


def matches(view: View, condition: Condition | None) -> bool:
    """Whether a task, job or pool meets a checked filter. Fields come in PascalCase."""
    if not condition or not condition.given:
        return True
    if condition.kind in _NODES:
        return _NODES[condition.kind]([matches(view, each) for each in condition.filters])
    given = condition.value if condition.values is None else condition.values
    return _COMPARISONS[condition.kind](field_of(view, str(condition.field)), given)


def field_of(view: View, name: str) -> object:
    """The field by its name in any case, or, as C# says it, by its path: `Dependencies.DependsOn`. Else None."""
    found: object = view
    for part in name.split("."):
        key = _key_of(found, part)
        found = found[key] if isinstance(found, dict) and key else None
    return found


def chosen(view: View, fields: list[str]) -> View:
    """A view with these fields only."""
    result: View = {}
    for field in fields:
        _copy(view, result, field.split("."))
    return result


def _copy(view: View, result: View, path: list[str]) -> None:
    key = _key_of(view, path[0])
    if key is None:
        return
    if len(path) == 1:
        result[key] = view[key]
    elif isinstance(view[key], dict):
        _copy(view[key], result.setdefault(key, {}), path[1:])


def _key_of(view: object, name: str) -> str | None:
    keys = view if isinstance(view, dict) else ()
    return next((key for key in keys if key.casefold() == name.casefold()), None)


def comparable(value: object) -> Comparable:
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


def _moment(text: object) -> datetime | None:
    """A date in any form of ISO 8601; without a zone it is UTC, as C# means it."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _equal(own: object, given: object) -> bool:
    return given in own if isinstance(own, list) else comparable(own) == comparable(given)


def _one_of(own: object, given: object) -> bool:
    return any(_equal(own, each) for each in (given if isinstance(given, list) else [given]))


def _ordering(test: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def compare(own: object, given: object) -> bool:
        (kind, value), (other, wanted) = comparable(own), comparable(given)
        return kind == other != 0 and test(value, wanted)

    return compare


def _like(own: object, given: object) -> bool:
    """`%` stands for any text; without one, the value is searched anywhere."""
    pattern = ".*".join(re.escape(part) for part in str(given).split("%"))
    return isinstance(own, str) and bool((re.fullmatch if "%" in str(given) else re.search)(pattern, own))


_NODES: dict[str, Callable[[list[bool]], bool]] = {"and": all, "or": any}
_COMPARISONS: dict[str, Callable[[object, object], bool]] = {
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
