"""Threads for calls that block: none is kept by another that hangs, and none is in the way of an end."""

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest
from support.waiting import wait_until

from run_qarnot.engine.daemon_executor import DaemonExecutor


def test_a_call_that_hangs_keeps_no_other_until_all_threads_hang() -> None:
    executor, extend = DaemonExecutor("test", most=3), threading.Event()
    hanging = [executor.submit(extend.wait, 5) for _ in range(2)]
    seen: list[int] = []
    for number in range(3):
        executor.submit(seen.append, number).result(5)
    assert seen == [0, 1, 2]
    hanging.append(executor.submit(extend.wait, 5))
    late = executor.submit(seen.append, 3)
    assert not late.done()
    extend.set()
    late.result(5)
    assert all(each.result(5) for each in hanging)


def test_a_thread_that_waits_is_used_before_another_is_made() -> None:
    executor = DaemonExecutor("once", most=3)
    for _ in range(20):
        used = {executor.submit(lambda: threading.current_thread().name).result(5)}
        wait_until(lambda: executor._idle == 1, "the thread to wait for the next call")
    assert used == {"once-1"}
    assert executor._count == 1


def test_errors_belong_to_who_asked() -> None:
    failed = DaemonExecutor("test", most=1).submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(5)


def test_what_waits_when_it_is_shut_down_is_not_done() -> None:
    executor, extend, begun = DaemonExecutor("test", most=1), threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        return extend.wait(5)

    first = executor.submit(hold)
    second = executor.submit(pytest.fail)
    assert begun.wait(5)
    executor.shutdown()
    extend.set()
    assert first.result(5)
    with pytest.raises(CancelledError):
        second.result(5)
    with pytest.raises(RuntimeError):
        executor.submit(print)


def test_a_call_that_hangs_does_not_keep_the_program() -> None:
    script = (
        "import threading\n"
        "from run_qarnot.engine.daemon_executor import DaemonExecutor\n"
        "begun = threading.Event()\n"
        "DaemonExecutor('test', 1).submit(lambda: begun.set() or threading.Event().wait(60))\n"
        "assert begun.wait(5)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=20, check=False).returncode == 0
