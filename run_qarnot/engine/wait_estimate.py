"""How long it usually takes until a machine runs: known from the account's own sessions, which the cluster keeps."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from run_qarnot.cloud.models import TaskSnapshot
from run_qarnot.model.plan import Label

_FEWEST = 2  # one alone says nothing of what is usual
_LATEST = 7


def wait_estimates(tasks: Iterable[TaskSnapshot]) -> dict[str, float]:
    """Return for each image, by its id, the median of its latest sessions; images with too few are left out.

    Arguments:
        tasks: the newest first.
    """
    waits: dict[str, list[float]] = {}
    for task in tasks:
        if task.until_started is not None:
            waits.setdefault(task.label(Label.IMAGE), []).append(task.until_started)
    return {image: median(each[:_LATEST]) for image, each in waits.items() if image and len(each) >= _FEWEST}
