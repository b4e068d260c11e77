"""Tests wait for conditions, never for a number of seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

_INTERVAL_SECONDS = 0.02


def wait_until(condition: Callable[[], Value], what: str, seconds: float = 20) -> Value:
    """Return the first true value of `condition`; fail, saying `what` was waited for, when there is none in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} seconds in vain for {what}"
        pause.wait(_INTERVAL_SECONDS)
    return value


async def until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    """Let the event loop run until `condition` holds; fail, saying `what` was waited for, when it does not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"waited {seconds:g} seconds in vain for {what}"
        await asyncio.sleep(0.005)


async def turn() -> None:
    """Let the event loop run what is ready once: to check that an event has started nothing, or to let a task reach its
    first `await`.
    """
    await asyncio.sleep(0)
