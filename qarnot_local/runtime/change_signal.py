"""A signal that something changed: each waiter evaluates its condition again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class ChangeSignal:
    """Belongs to one event loop; `beat` from another thread goes through `call_soon_threadsafe`."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def beat(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._next.wait()
