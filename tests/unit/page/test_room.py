"""Some of the disk is left to others, whatever is announced and whatever has arrived."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_qarnot.page import room
from run_qarnot.page.room import Room

GIGABYTE = 1 << 30


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.close()


def test_what_is_spare_is_neither_promised_nor_written(
    made: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert room.SPARE_BYTES >= 64 << 20
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(room, "SPARE_BYTES", free - GIGABYTE)
    assert not made.take(2 * GIGABYTE)
    assert not made.has(2 * GIGABYTE)
    assert made.take(1000)
    assert made.has(1000)


def test_what_was_promised_is_promised_to_nobody_else_until_it_is_given_back(made: Room, tmp_path: Path) -> None:
    most = shutil.disk_usage(tmp_path).free - room.SPARE_BYTES
    other = Room(tmp_path)
    assert made.take(most * 6 // 10)
    assert not made.take(most * 6 // 10)
    assert not other.take(most * 6 // 10)
    made.give_back(most * 6 // 10)
    assert other.take(most * 6 // 10)
    other.close()
    assert made.take(most * 6 // 10)
    assert [path for path in tmp_path.iterdir() if path != made._own] == []
