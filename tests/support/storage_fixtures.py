"""Fixtures of tests that reach a storage through a network that can go wrong. A `conftest.py` adds `place`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from run_qarnot.cloud.s3.client import Storage
from support.hostile import HostileProxy
from support.storages import Place, connect

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
def boto(clean_environ: pytest.MonkeyPatch) -> boto3.session.Session:
    """One for all clients: what boto3 knows of S3 is read once."""
    return boto3.session.Session()


@pytest.fixture
def proxy(place: Place) -> Iterator[HostileProxy]:
    with HostileProxy(place.url) as proxy:
        yield proxy


@pytest.fixture
def client(place: Place, boto: boto3.session.Session, proxy: HostileProxy) -> Any:
    """A client through the proxy."""
    return connect(proxy.url, place.email, place.secret, boto)


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
