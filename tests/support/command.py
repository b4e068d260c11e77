"""The command line, run as a user runs it: a process of its own, with an environment of its own."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import IO, Any

import pytest

from qarnot_local import LocalCluster

REPOSITORY = Path(__file__).parents[2]
_KEPT = re.compile(r"PATH|HOME|LANG|LC_.*|TZ|TMPDIR|PIP_.*|SSL_.*|REQUESTS_CA_BUNDLE|VIRTUAL_ENV|COVERAGE_.*")


def read_line(stream: IO[str] | None) -> str:
    """Return the next line that a program prints."""
    assert stream is not None
    return stream.readline()


def clean_environment(**more: str) -> dict[str, str]:
    """An environment without anything of the developer's account."""
    kept = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "BROWSER": "true"} | more


@functools.cache
def _forkserver() -> ForkServerContext:
    """Most commands are run in processes that are forked from one that has loaded everything.

    Each is as real as any, and a second of loading is saved, hundreds of times.
    """
    context = multiprocessing.get_context("forkserver")
    commands = ("commands.entry", "commands.sessions", "engine.account", "hooks.manager")
    loaded = [f"run_qarnot.{module}" for module in commands]
    context.set_forkserver_preload([*loaded, "support.command", "support.frozen"])
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 does not tell it what we can import
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def _run(arguments: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """In the new process: become a `run-qarnot` that was started with these arguments in this place."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
    sys.argv = ["run-qarnot", *arguments]
    from run_qarnot.__main__ import main

    sys.exit(main(arguments))


@dataclass(frozen=True)
class Answer:
    code: int | None
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
    python: Path = Path(sys.executable)  # of commands that stay

    def __call__(self, *arguments: object, expect: int | None = 0, timeout: float = 90) -> Answer:
        """Run a command to its end; `expect` is its exit code, None for any."""
        with tempfile.TemporaryDirectory() as folder:
            printed = (Path(folder, "out"), Path(folder, "err"))
            words = list(map(str, arguments))
            process = _forkserver().Process(
                target=_run, args=(words, str(self.folder), dict(self.environment), *map(str, printed))
            )
            process.start()
            process.join(timeout)
            if process.is_alive():
                process.kill()
                process.join()
            answer = Answer(process.exitcode, *(path.read_text() if path.exists() else "" for path in printed))
        assert expect is None or answer.code == expect, f"{arguments}: {answer.code}\n{answer.out}\n{answer.err}"
        return answer

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command that stays. The caller ends it."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=dict(self.environment), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def command(self, *arguments: object) -> list[str]:
        return [str(self.python), "-m", "run_qarnot", *map(str, arguments)]

    @classmethod
    def of_account(cls, cluster: LocalCluster, home: Path, **more: str) -> CommandLine:
        """At home in a folder, with the account of a local cluster."""
        return cls.at(cluster, home, QARNOT_CLIENT_TOKEN=cluster.token, **more)

    @classmethod
    def at(cls, cluster: LocalCluster, home: Path, **more: str) -> CommandLine:
        """At home in a folder, with a local cluster in the place of the cloud, and no account."""
        urls = {"QARNOT_CLUSTER_URL": cluster.cluster_url, "QARNOT_STORAGE_URL": cluster.storage_url}
        return cls(home, clean_environment(HOME=str(home), **urls, **more))

    def with_environment(self, **more: str) -> CommandLine:
        return CommandLine(self.folder, {**self.environment, **more}, self.python)
