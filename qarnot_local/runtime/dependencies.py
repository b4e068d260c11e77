"""Which tasks a task waits for (`reference/qarnot-platform.md` §2.2, §2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qarnot_local.runtime.tasks import SUCCESS, Task

WAITING = "waiting"
FULFILLED = "dependencyConditionsFulfilled"
NOT_FULFILLED = "dependencyConditionsNotFulfilled"


def answer(task: Task, find: Callable[[str], Task | None]) -> dict[str, Any]:
    """`dependencies` as a GET tells it."""
    given = task.definition["dependencies"]
    advanced = []
    for each in given.get("advancedDependsOn") or []:
        other = find(each["taskUuid"])
        wanted = [str(state).casefold() for state in each.get("taskFinalStateCondition") or ["success"]]
        final = other.state if other and other.is_final else None
        advanced.append({**each, "actualFinalState": final and final.lower(), "state": _state(other, wanted)})
    simple = [_state(find(uuid), [SUCCESS.casefold()]) for uuid in given.get("dependsOn") or []]
    states = simple + [each["state"] for each in advanced]
    if task.admitted:
        state = FULFILLED
    else:
        state = next((each for each in (NOT_FULFILLED, WAITING) if each in states), FULFILLED)
    return {"dependsOn": given.get("dependsOn") or [], "advancedDependsOn": advanced, "state": state}


def _state(other: Task | None, wanted: list[str]) -> str:
    if other is None:  # deleted: its end will never be known
        return NOT_FULFILLED
    if not other.is_final:
        return WAITING
    return FULFILLED if other.state.casefold() in wanted else NOT_FULFILLED
