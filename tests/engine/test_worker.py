"""One thread for calls that block: in their order, and never in the way of an end."""

import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from run_qarnot.engine.worker import Worker


def test_calls_are_made_one_after_the_other_and_errors_belong_to_who_asked():
    worker, seen = Worker("test"), []
    failed = worker.submit(lambda: 1 / 0)
    for number in range(3):
        last = worker.submit(seen.append, number)
    last.result(5)
    assert seen == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        failed.result(5)


def test_what_waits_when_it_is_shut_down_is_not_done():
    worker, go_on, begun = Worker("test"), threading.Event(), threading.Event()
    first = worker.submit(lambda: begun.set() or go_on.wait(5))
    second = worker.submit(pytest.fail)
    assert begun.wait(5)
    worker.shutdown()
    go_on.set()
    assert first.result(5)
    with pytest.raises(CancelledError):
        second.result(5)
    with pytest.raises(RuntimeError):
        worker.submit(print)


def test_a_call_that_hangs_does_not_keep_the_program():
    script = (
        "import threading\n"
        "from run_qarnot.engine.worker import Worker\n"
        "begun = threading.Event()\n"
        "Worker('test').submit(lambda: begun.set() or threading.Event().wait(60))\n"
        "assert begun.wait(5)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=20, check=False).returncode == 0
