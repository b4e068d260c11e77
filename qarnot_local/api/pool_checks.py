"""Checks of what only pools have: sizes and scaling (`reference/qarnot-platform.md` §2bis, `qarnot-openapi.json`)."""

from __future__ import annotations

from datetime import time
from typing import Any

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.field_checks import wrong_retries
from qarnot_local.api.field_types import KINDS, check
from qarnot_local.runtime.tasks import MAX_INSTANCES

_SLOTS = ("minTotalSlots", "maxTotalSlots", "minIdleSlots")
_DAYS = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}


def wrong_pool(definition: dict[str, Any], body: dict[str, Any]) -> list[str]:
    """Return the names of the fields with a size, or an elastic property, that no pool can have.

    Arguments:
        definition: of the pool, with defaults filled in.
        body: the request that it comes from.
    """
    sizes = {
        "instanceCount": definition["instanceCount"],
        "multiSlotsSettings": definition["multiSlotsSettings"]["slotsPerNode"] or 0,
    }
    wrong = [name for name, size in sizes.items() if not 0 <= size <= MAX_INSTANCES]
    if not _is_elastic_property(definition["elasticProperty"], body.get("elasticProperty") or {}):
        wrong.append("elasticProperty")
    return wrong + wrong_retries(definition, "defaultRetrySettings")


def _is_elastic_property(elastic: dict[str, Any], given: dict[str, Any]) -> bool:
    """Check an elastic property. The Python SDK sends a resize factor of 1 with every pool that is not elastic."""
    is_off = not elastic["isElastic"] and (given.get("isElastic") is False or "rampResizeFactor" not in given)
    factor = elastic["rampResizeFactor"]
    return (
        _are_slots(elastic)
        and (not elastic["isElastic"] or _fit(elastic))
        and elastic["resizePeriod"] >= 0
        and elastic["minIdleTimeSeconds"] >= 0
        and (0 <= factor < 1 or (factor == 1 and is_off))
    )


def check_policies(scaling: dict[str, Any]) -> None:
    """Raise MalformedError for the first policy that is unknown or impossible."""
    check(scaling, KINDS["scaling"], "$")
    for number, policy in enumerate(scaling.get("policies") or []):
        is_possible = _POLICIES.get(policy.get("type") or "", lambda _: False)
        if not is_possible(policy) or not all(map(_is_period, policy.get("enabledPeriods") or [])):
            raise MalformedError(f"policies[{number}]", "The input was not valid.")


def _is_fixed(policy: dict[str, Any]) -> bool:
    return 0 <= (policy.get("slotsCount") or 0) <= MAX_INSTANCES


def _is_managed(policy: dict[str, Any]) -> bool:
    factor = policy.get("scalingFactor")
    return (
        _are_slots(policy)
        and _fit(policy)
        and (policy.get("minIdleTimeSeconds") or 0) >= 0
        and (factor is None or 0 <= factor <= 1)  # a proportion of maxTotalSlots
    )


_POLICIES = {"Fixed": _is_fixed, "ManagedTasksQueue": _is_managed}


def _are_slots(given: dict[str, Any]) -> bool:
    return all(0 <= (given.get(name) or 0) <= MAX_INSTANCES for name in _SLOTS)


def _fit(given: dict[str, Any]) -> bool:
    """Whether `max(minTotalSlots, minIdleSlots)` slots, which always run, are no more than `maxTotalSlots`."""
    most = given.get("maxTotalSlots")
    return most is None or max(given.get("minTotalSlots") or 0, given.get("minIdleSlots") or 0) <= most


def _is_period(period: dict[str, Any]) -> bool:
    """A period may end on the next day: its end may be earlier than its start."""
    if period.get("type") == "Always":
        return True
    times = [period[name] for name in ("startTimeUtc", "endTimeUtc") if period.get(name) is not None]
    days = period.get("days") or []
    return period.get("type") == "Weekly" and all(map(_is_time, times)) and {day.casefold() for day in days} <= _DAYS


def _is_time(text: str) -> bool:
    try:
        return time.fromisoformat(text).tzinfo is None
    except ValueError:
        return False
