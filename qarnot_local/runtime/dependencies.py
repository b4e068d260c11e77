"""Dependencies between tasks (`reference/qarnot-platform.md` §2.2, §2.3)."""

from __future__ import annotations

from collections.abc import Callable

from qarnot_local.runtime.tasks import SUCCESS, Task
from qarnot_local.wire import View

WAITING = "waiting"
FULFILLED = "dependencyConditionsFulfilled"
NOT_FULFILLED = "dependencyConditionsNotFulfilled"


def answer(task: Task, find: Callable[[str], Task | None]) -> View:
    """`dependencies` as a GET tells it."""
    given = task.definition.dependencies
    advanced = []
    for each in given.advanced_depends_on or []:
        other = find(each.task_uuid)
        wanted = [str(state).casefold() for state in each.task_final_state_condition or ["success"]]
        final = other.state if other and other.is_final else None
        advanced.append(
            {**each.model_dump(), "actualFinalState": final and final.lower(), "state": _state(other, wanted)}
        )
    simple = [_state(find(uuid), [SUCCESS.casefold()]) for uuid in given.depends_on]
    states = simple + [each["state"] for each in advanced]
    if task.admitted:
        state = FULFILLED
    else:
        state = next((each for each in (NOT_FULFILLED, WAITING) if each in states), FULFILLED)
    return {"dependsOn": given.depends_on, "advancedDependsOn": advanced, "state": state}


def _state(other: Task | None, wanted: list[str]) -> str:
    if other is None:  # deleted
        return NOT_FULFILLED
    if not other.is_final:
        return WAITING
    return FULFILLED if other.state.casefold() in wanted else NOT_FULFILLED
