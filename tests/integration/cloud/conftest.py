"""A storage behind a network that can go wrong, and files to move."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.hostile import HostileProxy
from support.storages import CephPlace, LocalPlace, Place, connect

from qarnot_local import LocalCluster
from run_qarnot.cloud.s3.client import Storage

WAITS = (0.01, 0.02, 0.04)
_numbers = count()


@pytest.fixture(scope="session")
def clean_environ() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("QARNOT_", "AWS_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield patch


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


@pytest.fixture
def proxy(place: Place) -> Iterator[HostileProxy]:
    with HostileProxy(place.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def boto(clean_environ: pytest.MonkeyPatch) -> boto3.session.Session:
    """One for all clients: what boto3 knows of S3 is read once."""
    return boto3.session.Session()


@pytest.fixture
def client(place: Place, boto: boto3.session.Session, proxy: HostileProxy) -> Any:
    """A client through the proxy."""
    return connect(proxy.url, place.email, place.secret, boto)


@pytest.fixture(scope="session")
def direct(place: Place, boto: boto3.session.Session) -> Any:
    """A client that nothing stands in the way of: what does the storage hold?"""
    return connect(place.url, place.email, place.secret, boto)


@pytest.fixture
def storage(client: Any) -> Storage:
    return Storage(client, "http://cluster", WAITS)


@pytest.fixture
def bucket(storage: Storage, proxy: HostileProxy, direct: Any) -> Iterator[str]:
    name = f"bucket-{next(_numbers)}"
    direct.create_bucket(Bucket=name)
    yield name
    proxy.heal()
    storage.delete_bucket(name)


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
