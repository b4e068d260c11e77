"""Whether a run is idle, and whether it ended for that: as the program beside the app says (`bootstrap/idle.py`)."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from run_qarnot import bootstrap
from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.core.state import EndReason
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.engine.decide import end_reason
from run_qarnot.engine.results import Results
from run_qarnot.model import idle

LOOK_SECONDS = 30.0  # between two looks, of a short limit a sixth
_FILE_BYTES = 4096


def limit_of(facts: TaskSnapshot) -> float | None:
    """Return after how many minutes without use a run ends; None where nothing on its machine judges that."""
    try:
        minutes = float(facts.constants.get(bootstrap.IDLE_MINUTES) or 0)
    except ValueError:
        return None
    return minutes if 0 < minutes < float("inf") else None


async def with_idle_end(facts: TaskSnapshot, results: Results) -> TaskSnapshot:
    """Our program says that it ended a run; to the cluster, the app ended by itself.

    Arguments:
        facts: of the run.
        results: where the program's file is among them.
    """
    if limit_of(facts) is None or end_reason(facts) is not EndReason.FINISHED:
        return facts
    with contextlib.suppress(RunQarnotError):
        found = idle.read(await in_thread(results.head, idle.FILE, _FILE_BYTES))
        return replace(facts, ended_idle=found.within(facts.created).ended is not None)
    return facts
