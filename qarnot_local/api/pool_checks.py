"""Checks of what only pools have: sizes and scaling (`reference/qarnot-platform.md` §2bis, `qarnot-openapi.json`)."""

from __future__ import annotations

from datetime import time

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.field_checks import are_retries
from qarnot_local.runtime.definition import ElasticProperty, Period, PoolDefinition, Scaling, ScalingPolicy
from qarnot_local.runtime.tasks import MAX_INSTANCES

_DAYS = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}


def wrong_pool(definition: PoolDefinition, given: ElasticProperty | None) -> list[str]:
    """Return the names of the fields with a size, or an elastic property, that no pool can have.

    Arguments:
        definition: of the pool, with defaults filled in.
        given: the elastic property of the request that it comes from.
    """
    checks = {
        "instanceCount": 0 <= definition.instance_count <= MAX_INSTANCES,
        "multiSlotsSettings": 0 <= definition.multi_slots_settings.slots_per_node <= MAX_INSTANCES,
        "elasticProperty": _is_elastic_property(definition.elastic_property, given or ElasticProperty()),
        "defaultRetrySettings": are_retries(definition.default_retry_settings),
    }
    return [name for name, is_right in checks.items() if not is_right]


def _is_elastic_property(elastic: ElasticProperty, given: ElasticProperty) -> bool:
    """Check an elastic property. The Python SDK sends a resize factor of 1 with every pool that is not elastic."""
    says_no = "is_elastic" in given.given and not given.is_elastic
    is_off = not elastic.is_elastic and (says_no or "ramp_resize_factor" not in given.given)
    factor = elastic.ramp_resize_factor
    return (
        _are_slots(elastic)
        and (not elastic.is_elastic or _fit(elastic))
        and elastic.resize_period >= 0
        and elastic.min_idle_time_seconds >= 0
        and (0 <= factor < 1 or (factor == 1 and is_off))
    )


def check_policies(scaling: Scaling) -> None:
    """Raise MalformedError for the first policy that is unknown or impossible."""
    for number, policy in enumerate(scaling.policies):
        is_possible = _POLICIES.get(policy.type or "", lambda _: False)
        if not is_possible(policy) or not all(map(_is_period, policy.enabled_periods or [])):
            raise MalformedError(f"policies[{number}]", "The input was not valid.")


def _is_fixed(policy: ScalingPolicy) -> bool:
    return 0 <= (policy.slots_count or 0) <= MAX_INSTANCES


def _is_managed(policy: ScalingPolicy) -> bool:
    factor = policy.scaling_factor
    return (
        _are_slots(policy)
        and _fit(policy)
        and (policy.min_idle_time_seconds or 0) >= 0
        and (factor is None or 0 <= factor <= 1)  # a proportion of maxTotalSlots
    )


_POLICIES = {"Fixed": _is_fixed, "ManagedTasksQueue": _is_managed}


def _are_slots(given: ElasticProperty | ScalingPolicy) -> bool:
    sizes = (given.min_total_slots, given.max_total_slots, given.min_idle_slots)
    return all(0 <= (size or 0) <= MAX_INSTANCES for size in sizes)


def _fit(given: ElasticProperty | ScalingPolicy) -> bool:
    """Whether `max(minTotalSlots, minIdleSlots)` slots, which always run, are no more than `maxTotalSlots`."""
    most = given.max_total_slots
    return most is None or max(given.min_total_slots or 0, given.min_idle_slots or 0) <= most


def _is_period(period: Period) -> bool:
    """A period may end on the next day: its end may be earlier than its start."""
    if period.type == "Always":
        return True
    times = [time for time in (period.start_time_utc, period.end_time_utc) if time is not None]
    days = {day.casefold() for day in period.days or []}
    return period.type == "Weekly" and all(map(_is_time, times)) and days <= _DAYS


def _is_time(text: str) -> bool:
    try:
        return time.fromisoformat(text).tzinfo is None
    except ValueError:
        return False
