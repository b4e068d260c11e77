"""The state folder: one cluster's, and its owner's alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qarnot_local import private
from qarnot_local.lock import StateLock


def test_a_file_is_its_owners_alone_and_a_damaged_one_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "record.json"
    private.write(file, '{"a": 1}')
    assert file.stat().st_mode & 0o777 == 0o600
    assert private.read(file, json.loads) == {"a": 1}
    private.write(file, '{"a": ')
    assert private.read(file, json.loads) is None
    assert "record.json.broken" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["record.json.broken"]


def test_a_token_is_kept(tmp_path: Path) -> None:
    first = private.token(tmp_path / "token")
    assert len(first) >= 32
    assert private.token(tmp_path / "token") == first
    (tmp_path / "token").write_text(" \n")
    assert private.token(tmp_path / "token") != first


def test_two_clusters_do_not_share_a_folder(tmp_path: Path) -> None:
    with StateLock(tmp_path / "lock"), pytest.raises(BlockingIOError):
        StateLock(tmp_path / "lock")
    with StateLock(tmp_path / "lock"):
        pass
