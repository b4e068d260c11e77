"""How many instances may execute at one time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qarnot_local.runtime.change_signal import ChangeSignal
from qarnot_local.runtime.quotas import Quotas


class InstanceLimit:
    """Like a semaphore whose size, a quota, may change while some wait."""

    def __init__(self, quotas: Quotas) -> None:
        self.pulse = ChangeSignal()
        self.used = 0
        self._quotas = quotas

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        await self.pulse.until(lambda: self.used < self._quotas.instances)
        self.used += 1
        try:
            yield
        finally:
            self.used -= 1
            self.pulse.beat()
