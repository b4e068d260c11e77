"""A storage behind a network that can go wrong, and files to move."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.storage_fixtures import boto, bucket, clean_environ, client, proxy, storage
from support.storages import CephPlace, LocalPlace, Place, connect

from qarnot_local import LocalCluster

__all__ = ["boto", "bucket", "clean_environ", "client", "proxy", "storage"]


@pytest.fixture(scope="session")
def cluster(clean_environ: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def place(cluster: LocalCluster, request: pytest.FixtureRequest) -> Place:
    """The storage: the local cluster's, or with `--gateway` a real one that knows the same account."""
    if request.config.getoption("--gateway"):
        return CephPlace(request.getfixturevalue("gateway"), cluster.email, cluster.token)
    return LocalPlace(cluster)


@pytest.fixture(scope="session")
def direct(place: Place, boto: boto3.session.Session) -> Any:
    """A client that nothing stands in the way of: what does the storage hold?"""
    return connect(place.url, place.email, place.secret, boto)


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    """Make a file of so many bytes; the same `seed`, the same content."""

    def make(size: int, name: str = "file.bin", seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        numbers, left = random.Random(seed), size
        with path.open("wb") as file:
            while left:
                left -= file.write(numbers.randbytes(min(left, 1 << 20)))
        return path

    return make
