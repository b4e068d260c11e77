"""What a session has cost so far: asked seldom, and shown with its time. No price is ever invented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from run_qarnot.cloud.facts import TaskFacts

if TYPE_CHECKING:
    from run_qarnot.engine.account import Account

_LEAST_HOURS = 1 / 60  # of less, the cost of an hour would be a guess


async def cost_so_far(account: Account, task: TaskFacts) -> dict[str, Any]:
    """Ask for euros and grams of CO2e; return the fields of a `SessionView`, None where the platform does not say."""
    cost = await account.call(account.cloud.cost, task.id)
    carbon = await account.call(account.cloud.carbon, task.id)
    hours = task.executed / 3600
    per_hour = cost / hours if cost is not None and hours >= _LEAST_HOURS else None
    return {"cost": cost, "cost_per_hour": per_hour, "carbon": carbon, "asked": account.now()}
