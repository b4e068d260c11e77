"""The command line, run as a user runs it: a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
_KEPT = re.compile(r"PATH|HOME|LANG|LC_.*|TZ|TMPDIR|PIP_.*|SSL_.*|REQUESTS_CA_BUNDLE|VIRTUAL_ENV|COVERAGE_.*")


def clean_environment(**more: str) -> dict[str, str]:
    """An environment without anything of the developer's account."""
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "BROWSER": "true"} | more


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`run-qarnot` in a folder, with an environment."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=clean_environment)

    def __call__(self, *arguments: object, expect: int | None = 0, timeout: float = 90) -> Answer:
        """Run a command to its end; `expect` is its exit code, None for any."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=dict(self.environment), capture_output=True, text=True,
            timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert expect is None or done.returncode == expect, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command that stays. The caller ends it."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=dict(self.environment), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "run_qarnot", *map(str, arguments)]

    def with_environment(self, **more: str) -> CommandLine:
        return CommandLine(self.folder, {**self.environment, **more})
