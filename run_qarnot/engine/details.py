"""What is asked of a session seldom: what it has cost so far, when it was saved last, why it failed.

Cost is shown with the time when it was asked. No price is ever invented.
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

_WHOLE_OUTPUT = 16_000  # characters; of a longer output, the beginning may be gone
_LEAST_HOURS = 1 / 60  # of less, the cost of an hour would be a guess


async def details(client: Client, task: TaskSnapshot, view: SessionView, results: Results) -> dict[str, Any]:
    """Ask for them; return the fields of a `SessionView`, None where nobody says.

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
    """Whether an app that is not meant to end by itself ended normally before it answered.

    For sessions that nobody followed. It can be known only of apps that print a link once they answer, and only while
    the beginning of the output is there: the cluster keeps the end of a long one (`reference/qarnot-platform.md` §2.5).
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
    """Euros and grams of CO2e of each run and of all, as far as the platform tells them.

    A run that is over is asked for until the platform has told what it cost; the latest one each time.
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
    """The sum of what is known; None if nothing is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


async def last_save(client: Client, view: SessionView, results: Results) -> dict[str, Any]:
    """Ask the storage when it was saved last, and say when it was asked: `saved` is None if it never was.

    A save that we have seen ourselves may be younger than all files: what has not changed is not sent again.

    Raises:
        RunQarnotError: the storage does not say.
    """
    if view.state is State.ENDED and view.ended is not None and view.has_run:
        saved: datetime | None = view.ended  # results are uploaded at the end, a cancelled session's too
    else:
        times = [file.modified for file in await results.files()]
        saved = max((*times, *filter(None, [view.saved])), default=None)
    return {"saved": saved, "saved_asked": client.now()}
