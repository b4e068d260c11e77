"""Trying again, when the cluster does not answer: with growing pauses, and never where it could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from run_qarnot.core.errors import UnreachableError
from run_qarnot.core.messages import Message

T = TypeVar("T")

TRIES = 6
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 15.0


def backoff() -> Iterator[float]:
    """Yield the seconds between tries: doubling, up to a limit."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


async def retrying(
    act: Callable[[], Awaitable[T]], tell: Callable[[Message], None] = lambda _: None, tries: int = TRIES
) -> T:
    """Do something that may be repeated without harm, until the cluster answers.

    Arguments:
        act: the action.
        tell: told that it is tried again.
        tries: how often at most.

    Raises:
        UnreachableError: it did not answer the last time either.
    """
    for attempt, pause in enumerate(backoff(), start=1):
        try:
            return await act()
        except UnreachableError as error:
            if attempt >= tries:
                raise
            tell(Message("retrying", what=error.sentence))
            await asyncio.sleep(pause)
    raise AssertionError("pauses never end")
