"""House rules: a limit on hours, and a tag by which the costs of a project are found in Qarnot's console.

It does nothing until the operator of the dashboard sets one of these variables:

    RUN_QARNOT_MOST_HOURS=12        sessions that ask for more are refused
    RUN_QARNOT_PROJECT=climate      every session gets the tag `project:climate`
"""

from __future__ import annotations

import os

from run_qarnot import Refusal, TaskDraft, hookimpl


@hookimpl
def rq_prepare(plan: TaskDraft) -> None:
    """Refuse what is too long; tag the rest."""
    most = float(os.environ.get("RUN_QARNOT_MOST_HOURS") or "inf")
    if plan.hours > most:
        raise Refusal(f"here, sessions may take {most:g} hours at most, and this one asks for {plan.hours:g}.")
    if project := os.environ.get("RUN_QARNOT_PROJECT", "").strip():
        plan.tags.append(f"project:{project}")
