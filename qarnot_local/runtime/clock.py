"""The cluster's clock: the time of this machine plus what a test advanced it by; and alarms.

Each cluster has its own clock. It is a context variable of the cluster's event loop, inherited by its tasks and
threads, because records and views need the time everywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta


class Alarm:
    """Calls a function at a moment of the cluster's time."""

    def __init__(self, clock: Clock, moment: datetime, ring: Callable[[], object]) -> None:
        self.moment = moment
        self._clock = clock
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """(Re)start the wait, after the clock moved too."""
        if self._handle:
            self._handle.cancel()
        wait = (self.moment - self._clock.now()).total_seconds()
        self._handle = asyncio.get_running_loop().call_later(max(0.0, wait), self._go_off)

    def _go_off(self) -> None:
        self.cancel()
        self._ring()

    def cancel(self) -> None:
        self._clock.forget(self)
        if self._handle:
            self._handle.cancel()


class Clock:
    def __init__(self) -> None:
        self._ahead = timedelta()
        self._alarms: set[Alarm] = set()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    @property
    def ahead(self) -> float:
        """Seconds that it was advanced by."""
        return self._ahead.total_seconds()

    def at(self, moment: datetime, ring: Callable[[], object]) -> Alarm:
        alarm = Alarm(self, moment, ring)
        self._alarms.add(alarm)
        alarm.set()
        return alarm

    def forget(self, alarm: Alarm) -> None:
        self._alarms.discard(alarm)

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        alarm = self.at(self.now() + timedelta(seconds=seconds), over.set)
        try:
            await over.wait()
        finally:
            alarm.cancel()

    def advance(self, seconds: float) -> None:
        """Advance the clock; alarms that are due by then ring in order."""
        self._ahead += timedelta(seconds=seconds)
        for alarm in sorted(self._alarms, key=lambda alarm: alarm.moment):
            alarm.set()


_CLOCK: ContextVar[Clock] = ContextVar("clock", default=Clock())  # noqa: B039 - outside a cluster: the real time


def use(clock: Clock) -> None:
    """Make this the clock of the running context and of all that it starts from now on."""
    _CLOCK.set(clock)


def current() -> Clock:
    return _CLOCK.get()
