"""What a run will cost, worked out from what earlier runs did cost. No price is ever invented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

LEAST_SECONDS = 60.0  # of a shorter run, the cost of an hour would be a guess


@dataclass(frozen=True)
class Price:
    """What is known of the price of a run before it starts.

    Arguments:
        per_hour: euros that one machine costs in an hour; None if no run like it is known.
        left: euros that the account has left; None if the cluster does not say.
    """

    per_hour: float | None = None
    left: float | None = None

    def hourly(self, machines: int = 1) -> float | None:
        """Return what so many machines cost in an hour, in euros."""
        return None if self.per_hour is None else self.per_hour * machines

    def most(self, hours: float, machines: int = 1) -> float | None:
        """Return what a run costs in euros if it uses all of its hours."""
        return None if self.per_hour is None else self.per_hour * hours * machines

    def is_beyond(self, hours: float, machines: int = 1) -> bool:
        """Whether the account cannot pay all of these hours, or has nothing left at all."""
        if self.left is None:
            return False
        return self.left <= 0 or (self.most(hours, machines) or 0) > self.left


def usual_price(runs: Iterable[tuple[float, float]]) -> float | None:
    """Return what an hour of one machine usually costs in euros; None if no run says.

    Arguments:
        runs: euros that each has cost, and the seconds that its machines have worked, all together.
    """
    known = [cost / (seconds / 3600) for cost, seconds in runs if seconds >= LEAST_SECONDS]
    return median(known) if known else None
