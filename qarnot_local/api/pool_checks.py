"""What a pool alone has, as far as it can be wrong (`reference/qarnot-platform.md` §2bis)."""

from __future__ import annotations

from typing import Any

from qarnot_local.api.errors import MalformedError
from qarnot_local.api.field_types import KINDS, check
from qarnot_local.runtime.tasks import MAX_INSTANCES

_POLICIES = {"Fixed", "ManagedTasksQueue"}
_SLOTS = ("minTotalSlots", "maxTotalSlots", "minIdleSlots")


def wrong_sizes(definition: dict[str, Any]) -> list[str]:
    """The fields in which a pool is of no possible size."""
    elastic = definition["elasticProperty"]
    sizes = {
        "instanceCount": [definition["instanceCount"]],
        "elasticProperty": [elastic[name] for name in _SLOTS],
        "multiSlotsSettings": [definition["multiSlotsSettings"]["slotsPerNode"]],
    }
    return [name for name, given in sizes.items() if not all(0 <= (size or 0) <= MAX_INSTANCES for size in given)]


def check_policies(scaling: dict[str, Any]) -> None:
    """Raise MalformedError for the first policy that is none."""
    check(scaling, KINDS["scaling"], "$")
    for number, policy in enumerate(scaling.get("policies") or []):
        if policy.get("type") not in _POLICIES:
            raise MalformedError(f"policies[{number}]", "The input was not valid.")
