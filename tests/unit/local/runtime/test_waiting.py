"""What tasks wait for: gates, room for instances, their turn."""

from __future__ import annotations

import asyncio

from support.waiting import turn, until

from qarnot_local.runtime.definition import TaskDefinition
from qarnot_local.runtime.instance_limit import InstanceLimit
from qarnot_local.runtime.queue import TOO_LATE, Queue
from qarnot_local.runtime.quotas import Quotas
from qarnot_local.runtime.stage_gates import StageGates
from qarnot_local.runtime.tasks import Task


def test_a_gate_holds_one_task_or_all_until_it_is_released_or_given_up() -> None:
    async def check() -> None:
        gates = StageGates()
        gates.hold("Submitted", "a")
        held = asyncio.create_task(gates.stay("Submitted", "a", lambda: False))
        await gates.stay("Submitted", "b", lambda: False)
        assert not held.done()
        gates.release("Submitted", None)
        await held
        gates.hold("Submitted", None)
        await gates.stay("Submitted", "a", lambda: True)
        assert gates.listed() == [{"stage": "Submitted", "task": None}]

    asyncio.run(check())


def test_instances_wait_for_room_which_may_grow() -> None:
    async def check() -> None:
        quotas = Quotas(instances=1)
        limit = InstanceLimit(quotas)
        async with limit.one():
            second = asyncio.create_task(limit.one().__aenter__())
            await turn()
            assert not second.done()
            quotas.instances = 2
            limit.pulse.beat()
            await second
            assert limit.used == 2

    asyncio.run(check())


class _Run:
    """A run as the queue sees it: it notes what it is told."""

    def __init__(self, **definition: object) -> None:
        self.task = Task(TaskDefinition.model_validate(definition))
        self.is_waiting = True
        self.told: list[object] = []

    def admit(self) -> None:
        self.is_waiting = False
        self.told.append("admitted")

    def give_up(self, code: str, message: str) -> None:
        self.is_waiting = False
        self.told.append((code, message))


def test_the_queue_lets_start_when_there_is_room_and_gives_up_what_waits_too_long() -> None:
    async def check() -> None:
        room = False
        queue = Queue(lambda _: None, lambda: room, StageGates())
        first, late = _Run(), _Run(maxTimeQueueSeconds=1)
        for run in (first, late):
            queue.add(run)  # type: ignore[arg-type]
        assert first.told == []
        room = True
        queue.look()
        assert first.told == late.told == ["admitted"]
        room = False
        hurried = _Run(maxTimeQueueSeconds=1)
        hurried.task.created = hurried.task.created.replace(year=2020)
        queue.add(hurried)  # type: ignore[arg-type]
        await until(lambda: hurried.told, "the late one to be given up")
        assert hurried.told == [TOO_LATE]

    asyncio.run(check())
