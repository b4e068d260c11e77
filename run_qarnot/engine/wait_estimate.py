"""Estimates the time until a machine runs from the account's earlier sessions."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.model.plan import Label

_FEWEST = 2  # one session is not enough for an estimate
_LATEST = 7


def wait_estimates(tasks: Iterable[TaskSnapshot]) -> dict[str, float]:
    """Return, by image id, the median in seconds of the latest sessions; images with too few are left out.

    Arguments:
        tasks: the newest first.
    """
    waits: dict[str, list[float]] = {}
    for task in tasks:
        if task.until_started is not None:
            waits.setdefault(task.label(Label.IMAGE), []).append(task.until_started)
    return {image: median(each[:_LATEST]) for image, each in waits.items() if image and len(each) >= _FEWEST}
