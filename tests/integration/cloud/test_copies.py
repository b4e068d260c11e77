"""Copies that the storage itself makes: each file under its own name, whatever that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from run_qarnot.cloud.s3 import copy
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.model.files import StoredCopy

pytestmark = pytest.mark.slow

MIB = 1 << 20
NAMES = [
    "plain.txt",
    "été/№ 1.csv",
    "a b+c&d=e;f#g.txt",
    "what?versionId=x",
    "%41%2F.txt",
    "\"'<>.txt",
    "~!@$*(),:.txt",
]


def test_files_of_all_names_are_copied_at_once_and_in_parts(
    storage: Storage, direct: Any, bucket: str, make_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "LARGE_BYTES", 6 * MIB)
    monkeypatch.setattr(copy, "PART_BYTES", 5 * MIB)  # no storage takes smaller ones
    contents = {}
    for number, name in enumerate([*NAMES, "large/été ?.bin"]):
        path = make_file(7 * MIB if name.startswith("large") else 20, seed=number)
        direct.upload_file(str(path), bucket, name)
        contents[name] = path.read_bytes()
    target = f"{bucket}-copies"
    storage.create(target, "copies")
    copies = [StoredCopy(bucket, file) for file in storage.files(bucket)]
    moved: list[int] = []
    storage.copy(target, copies, moved.append)
    found = {file.key: b"".join(storage.read(target, file.key)) for file in storage.files(target)}
    assert found == contents
    assert sum(moved) == sum(map(len, contents.values()))
    storage.delete_bucket(target)
