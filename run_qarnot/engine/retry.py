"""Trying again, when the cluster does not answer: with growing pauses, and never where it could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import ParamSpec, TypeVar

from run_qarnot.core.errors import UnreachableError
from run_qarnot.core.messages import Message

P = ParamSpec("P")
T = TypeVar("T")
Tell = Callable[[Message], None]

TRIES = 6
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 15.0


def backoff() -> Iterator[float]:
    """Yield the seconds between tries: doubling, up to a limit."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


async def retrying(tell: Tell, act: Callable[P, Awaitable[T]], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Do something that may be repeated without harm, at most `TRIES` times, until the cluster answers.

    Arguments:
        tell: told that it is tried again.
        act: the action, with its arguments.

    Raises:
        UnreachableError: it did not answer the last time either.
    """
    for attempt, pause in enumerate(backoff(), start=1):
        try:
            return await act(*arguments, **named)
        except UnreachableError as error:
            if attempt >= TRIES:
                raise
            tell(Message("retrying", what=error.sentence))
            await asyncio.sleep(pause)
    raise AssertionError("pauses never end")
