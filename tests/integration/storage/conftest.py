"""The same account on two storages, both real: the local cluster's, and a Ceph gateway's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
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
def clean_environ() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("QARNOT_", "AWS_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", params=["local", "gateway"])
def place(clean_environ: None, request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "gateway":
        yield CephPlace(request.getfixturevalue("gateway"), "you@example.com", "the-token")
        return
    with LocalCluster() as cluster:
        cluster.control.refuse_skew()
        yield LocalPlace(cluster)


@pytest.fixture(scope="session")
def boto(clean_environ: None) -> boto3.session.Session:
    """One for all clients: what boto3 knows of S3 is read once."""
    return boto3.session.Session()


@pytest.fixture
def proxy(place: Place) -> Iterator[HostileProxy]:
    with HostileProxy(place.url) as proxy:
        yield proxy


@pytest.fixture
def storage(place: Place, proxy: HostileProxy, boto: boto3.session.Session) -> Storage:
    return Storage(connect(proxy.url, place.email, place.secret, boto), "http://cluster", WAITS)


@pytest.fixture(scope="session")
def direct(place: Place, boto: boto3.session.Session) -> Any:
    """boto3's own client: what does the storage hold, and what does it say?"""
    return connect(place.url, place.email, place.secret, boto, retries={"max_attempts": 0})


@pytest.fixture
def bucket(storage: Storage, proxy: HostileProxy, direct: Any) -> Iterator[str]:
    name = f"bucket-{next(_numbers)}"
    direct.create_bucket(Bucket=name)
    yield name
    proxy.heal()
    storage.delete_bucket(name)
