"""Time that a test lets pass."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

from support.waiting import turn

from qarnot_local.runtime.change_signal import ChangeSignal
from qarnot_local.runtime.clock import Clock


def test_alarms_go_off_in_their_order_and_those_that_are_not_due_stay() -> None:
    async def scene() -> list[int]:
        clock, rung, over = Clock(), list[int](), asyncio.Event()
        for hours in (2, 1, 5):
            clock.at(clock.now() + timedelta(hours=hours), partial(rung.append, hours))
        clock.at(clock.now() + timedelta(hours=1.5), lambda: rung.append(0)).cancel()
        clock.advance(3 * 3600)
        clock.at(clock.now(), over.set)
        await over.wait()
        return rung

    assert asyncio.run(scene()) == [1, 2]


def test_who_sleeps_wakes_when_the_time_was_advanced() -> None:
    async def scene() -> float:
        clock = Clock()
        sleeping = asyncio.create_task(clock.sleep(3600))
        await turn()
        clock.advance(3601)
        await asyncio.wait_for(sleeping, 5)
        assert abs(clock.now() - datetime.now(UTC) - timedelta(seconds=3601)) < timedelta(seconds=1)
        return clock.ahead

    assert asyncio.run(scene()) == 3601


def test_whoever_waits_for_a_change_looks_again_at_each_one() -> None:
    async def scene() -> int:
        signal, looks = ChangeSignal(), 0

        def third_look() -> bool:
            nonlocal looks
            looks += 1
            return looks == 3

        waiting = asyncio.create_task(signal.until(third_look))
        for _ in range(2):
            await turn()
            signal.beat()
        await asyncio.wait_for(waiting, 5)
        return looks

    assert asyncio.run(scene()) == 3
