"""The local cluster alone, driven by the real SDK over real HTTP, S3 and SSH."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from qarnot.connection import Connection
from support.tasks import connect

from qarnot_local import LocalCluster


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the developer's account nor proxies nor AWS profile reach the SDK (reference §1.1)."""
    for name in list(os.environ):
        if name.startswith(("QARNOT_", "AWS_", "JUPYTER")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as running:
        yield running


@functools.lru_cache(maxsize=1)  # of more, clusters that have ended would stay in memory
def _connection(cluster: LocalCluster) -> Connection:
    """Made once for each cluster: boto3 needs a third of a second for its two clients."""
    return connect(cluster)


@pytest.fixture
def connection(cluster: LocalCluster) -> Connection:
    return _connection(cluster)


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two key pairs: `own` and `other`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    return folder
