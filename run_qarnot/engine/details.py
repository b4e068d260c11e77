"""Details of a session that are requested rarely: its cost so far, its last save, why it failed.

Cost is shown with the time of the request. No price is guessed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from run_qarnot.catalog.apps import App
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.messages import Verbatim
from run_qarnot.core.state import EndReason, State
from run_qarnot.engine import output
from run_qarnot.engine.client import Client
from run_qarnot.engine.results import Results
from run_qarnot.model.view import SessionView

_WHOLE_OUTPUT = 16_000  # characters; the cluster may have dropped the beginning of a longer output
_LEAST_HOURS = 1 / 60  # for a shorter time, the cost of an hour would be a guess


async def details(client: Client, task: TaskSnapshot, view: SessionView, results: Results) -> dict[str, Any]:
    """Request the details; return them as fields of a `SessionView`, None if unknown.

    Arguments:
        task: of the latest run.
    """
    found = await _cost(client, task, view)
    with contextlib.suppress(RunQarnotError):  # the rest is worth showing
        found |= await last_save(client, view, results)
    if view.state is State.FAILED:
        said = (await output.with_reason(client, task)).error
        found["error"] = Verbatim(said) if said else view.error
    return found


async def never_ready(client: Client, app: App, task: TaskSnapshot, view: SessionView, results: Results) -> bool:
    """Whether an app that should not end by itself ended normally before it answered.

    This is for sessions that no process followed. It is known only for apps that print a link once they answer, and
    only if the output is complete: the cluster keeps the end of a long one (`reference/qarnot-platform.md` §2.5).
    """
    if view.state is not State.ENDED or view.reason != EndReason.FINISHED or app.ready_pattern is None:
        return False
    try:
        texts = [*await output.printed(client, task.id), *await output.log_file(results)]
    except RunQarnotError:
        return False
    is_whole = all(len(text) < _WHOLE_OUTPUT for text in texts)
    return is_whole and not any(output.find_link(app.ready_pattern, text) for text in texts)


async def _cost(client: Client, task: TaskSnapshot, view: SessionView) -> dict[str, Any]:
    """Return euros and grams of CO2e of each run and in total, as far as the platform states them.

    The latest run is requested each time, an ended one only until the platform has stated its cost.
    """
    runs = []
    for run in view.runs:
        if run.id == task.id or run.cost is None:
            run = replace(run, cost=await client.cost(run.id), carbon=await client.carbon(run.id))
        runs.append(run)
    cost, hours = runs[-1].cost if runs else None, task.executed / 3600
    per_hour = cost / hours if cost is not None and hours >= _LEAST_HOURS else None
    return {
        "runs": tuple(runs),
        "cost": _total(run.cost for run in runs),
        "cost_per_hour": per_hour,
        "carbon": _total(run.carbon for run in runs),
        "asked": client.now(),
    }


def _total(amounts: Iterable[float | None]) -> float | None:
    """Return the sum of the known amounts; None if none is known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


async def last_save(client: Client, view: SessionView, results: Results) -> dict[str, Any]:
    """Return the time of the last save, from the storage, and the time of the request. `saved` is None without a save.

    A save that this process has seen may be later than all files, because unchanged files are not uploaded again.

    Raises:
        RunQarnotError: the storage does not answer, or refuses.
    """
    if view.state is State.ENDED and view.ended is not None and view.has_run:
        saved: datetime | None = view.ended  # results are uploaded at the end, a cancelled session's too
    else:
        times = [file.modified for file in await results.files()]
        saved = max((*times, *filter(None, [view.saved])), default=None)
    return {"saved": saved, "saved_asked": client.now()}
