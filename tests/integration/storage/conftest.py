"""The same account on two storages, both real: the local cluster's, and a Ceph gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from support.storage_fixtures import boto, bucket, clean_environ, client, proxy, storage
from support.storages import CephPlace, LocalPlace, Place, connect

from qarnot_local import LocalCluster

__all__ = ["boto", "bucket", "clean_environ", "client", "proxy", "storage"]


@pytest.fixture(scope="session", params=["local", "gateway"])
def place(clean_environ: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "gateway":
        yield CephPlace(request.getfixturevalue("gateway"), "you@example.com", "the-token")
        return
    with LocalCluster() as cluster:
        cluster.control.refuse_skew()
        yield LocalPlace(cluster)


@pytest.fixture(scope="session")
def direct(place: Place, boto: boto3.session.Session) -> Any:
    """boto3's own client: what does the storage hold, and what does it say?"""
    return connect(place.url, place.email, place.secret, boto, retries={"max_attempts": 0})
