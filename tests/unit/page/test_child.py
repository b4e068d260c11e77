"""Programs in the background: what they say is heard, and they end when asked to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from run_qarnot.page.child import ChildServer

LINES = "import sys; print('first'); print('second'); sys.exit(%d)"
COMPLAINS = "import sys; print(%r, file=sys.stderr); sys.exit(%d)"
WAITS = "import signal; print('here', flush=True); signal.pause()"


@pytest.fixture
def start(tmp_path: Path) -> Callable[[str], Awaitable[ChildServer]]:
    async def start(code: str) -> ChildServer:
        (tmp_path / "program_of_the_test.py").write_text(code)
        path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
        return await ChildServer.start(
            "program_of_the_test", environment={"PATH": os.environ["PATH"], "PYTHONPATH": path}
        )

    return start


def test_its_lines_are_read_until_it_ends(start: Callable[[str], Awaitable[ChildServer]]) -> None:
    async def scenario() -> list[str]:
        child = await start(LINES % 0)
        return [await child.read_line() for _ in range(3)] + [await child.wait()]

    assert asyncio.run(scenario()) == ["first\n", "second\n", "", ""]


@pytest.mark.parametrize(
    ("printed", "code", "said"),
    [
        ("No cluster there.\nStart one.", 1, "No cluster there. Start one."),
        ("a warning\nNo cluster there.\nStart one.", 1, "No cluster there. Start one."),
        ("Traceback (most recent call last)\nKeyError: 1", 1, ""),
        ("Killed", 9, ""),
    ],
)
def test_what_a_user_can_mend_is_passed_on_and_a_crash_is_not(
    start: Callable[[str], Awaitable[ChildServer]], printed: str, code: int, said: str
) -> None:
    async def scenario() -> str:
        return await (await start(COMPLAINS % (printed, code))).wait()

    assert asyncio.run(scenario()) == said


def test_it_ends_when_asked_to(start: Callable[[str], Awaitable[ChildServer]]) -> None:
    async def scenario() -> None:
        child = await start(WAITS)
        assert await child.read_line() == "here\n"
        child.end()
        async with asyncio.timeout(20):
            await child.wait()

    asyncio.run(scenario())
