"""A server that ends with everything that it has started."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from support.waiting import wait_until


class Supervised:
    """A program below `run_qarnot.lifeline`, which closes its standard input to end the program's whole family.

    Arguments:
        command: of the program.
        folder: in which it runs.
        environment: of the program, all of it.
        log: the file for what it prints.
        health: the address that answers 200 once it is up.
    """

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], log: Path, health: str
    ) -> None:
        self._log, self._health = log, health
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "run_qarnot.lifeline", "--", *command],
                cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=output,
            )  # fmt: skip

    def wait(self) -> None:
        """Return once it answers."""
        wait_until(lambda: self._answers() or self._process.poll() is not None, f"{self._health} to answer", seconds=90)
        assert self._process.poll() is None, self.log

    def end(self) -> None:
        """End it and everything that it started."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    @property
    def log(self) -> str:
        """What it and its children have printed."""
        return self._log.read_text()

    def processes(self) -> list[psutil.Process]:
        """All that it runs, without the process that ends it."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def _answers(self) -> bool:
        with contextlib.suppress(URLError, OSError), urlopen(self._health, timeout=5) as answer:
            return bool(answer.status == 200)
        return False
