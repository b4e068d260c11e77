"""Estimates the cost of an hour of an image on some hardware from the account's own runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.engine.client import Client
from run_qarnot.model.plan import Label
from run_qarnot.model.price import LEAST_SECONDS, usual_price

__all__ = ["TaskSnapshot", "price_per_hour", "similar_runs"]

_LATEST = 3  # runs; each takes a request


def similar_runs(
    tasks: Iterable[TaskSnapshot], image: str, hardware: Mapping[str, object], scheduling: str
) -> list[TaskSnapshot]:
    """Return the latest runs of an image on the same hardware that were long enough to tell a price.

    Arguments:
        tasks: of the account, the newest first.
        image: its id.
        hardware: constraints, as `SessionSpec` has them, with those of the image.
        scheduling: as `SessionSpec` has it; empty for the account's default, which may be any.
    """
    found = [
        task
        for task in tasks
        if task.label(Label.IMAGE) == image
        and dict(task.hardware) == dict(hardware)
        and scheduling in ("", task.scheduling)
        and task.executed >= LEAST_SECONDS
    ]
    return found[:_LATEST]


async def price_per_hour(client: Client, runs: Iterable[TaskSnapshot]) -> float | None:
    """Request the cost of runs; return the usual cost of an hour of one machine in euros, None if unknown.

    Raises:
        RunQarnotError: the cluster does not answer.
    """
    costs = [(await client.cost(run.id), run.executed) for run in runs]
    return usual_price((cost, seconds) for cost, seconds in costs if cost is not None)
