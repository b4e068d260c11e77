"""Retries calls to the cluster, with exponential backoff. Only for calls that may be repeated."""

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
    """Yield the seconds between attempts: doubled each time, up to a limit."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


async def retrying(tell: Tell, act: Callable[P, Awaitable[T]], /, *arguments: P.args, **named: P.kwargs) -> T:
    """Call a repeatable action until the cluster answers, at most `TRIES` times.

    Arguments:
        tell: called before each retry with the reason.
        act: the action, followed by its arguments.

    Raises:
        UnreachableError: the last attempt failed, too.
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
