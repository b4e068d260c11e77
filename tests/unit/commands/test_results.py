"""Results are written whole or not at all."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.commands.results import results as command
from run_qarnot.core.errors import InputError, NotFoundError
from run_qarnot.core.state import State
from run_qarnot.model.files import StoredCopy, StoredFile
from run_qarnot.model.view import SessionView

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
VIEW = SessionView("id-1", "calm", "base", "jupyterlab", "JupyterLab", State.READY, 1, inputs="calm-in")
FILES = [StoredCopy("calm-out", StoredFile(key, 3, NOW)) for key in ("a.txt", "sub/b.csv")]


class Account:
    """Has one session, with two saved files."""

    async def find(self, _name: str) -> Any:
        return SimpleNamespace(view=VIEW, results=self)

    async def with_inputs(self, inputs: str | None) -> list[StoredCopy]:
        return [*FILES, *([StoredCopy(inputs, StoredFile("given.csv", 1, NOW))] if inputs else [])]

    def zip(self, files: list[StoredCopy], **_: object) -> Iterator[bytes]:
        yield from (each.file.key.encode() for each in files)


def results(**given: Any) -> Any:
    arguments = {"session": "calm", "patterns": [], "zip": None, "output": None, "inputs": False} | given
    return asyncio.run(command(Account(), Namespace(**arguments)))  # type: ignore[arg-type]


def test_a_zip_is_written_whole_or_not_and_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "results.zip"
    assert results(zip=target, patterns=["*.csv"]) == 0
    assert target.read_bytes() == b"sub/b.csv"
    with pytest.raises(InputError) as caught:
        results(zip=target)
    assert caught.value.code == "output-exists"
    assert [path.name for path in target.parent.iterdir()] == ["results.zip"]


def test_the_inputs_come_only_if_they_are_asked_for(tmp_path: Path) -> None:
    for inputs, content in ((False, b"sub/b.csv"), (True, b"sub/b.csvgiven.csv")):
        results(zip=tmp_path / f"{inputs}.zip", patterns=["*.csv"], inputs=inputs)
        assert (tmp_path / f"{inputs}.zip").read_bytes() == content


def test_results_that_match_nothing_are_an_error() -> None:
    with pytest.raises(NotFoundError) as caught:
        results(patterns=["*.png"])
    assert caught.value.code == "no-results-match"
