"""The two storages that the same tests are run against: the local cluster's, and a real Ceph gateway."""

from __future__ import annotations

from typing import Any, Protocol

import boto3
from botocore.config import Config

from qarnot_local import LocalCluster
from support.ceph import Gateway


class Place(Protocol):
    """A storage with one account in it."""

    name: str
    url: str
    email: str
    secret: str

    def take_name(self, bucket: str) -> None:
        """Have another account make a bucket of this name."""

    def limit(self, *, buckets: int | None = None, size: int | None = None) -> None:
        """Limit how many buckets, or bytes, the account may have; None: as many as at first."""


class LocalPlace:
    name = "local"

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self.url, self.email, self.secret = cluster.storage_url, cluster.email, cluster.token

    def take_name(self, bucket: str) -> None:
        self._cluster.control.foreign_bucket(bucket)

    def limit(self, *, buckets: int | None = None, size: int | None = None) -> None:
        self._cluster.control.set_quota("buckets", 1000 if buckets is None else buckets)
        self._cluster.control.set_quota("bytes", 10 << 30 if size is None else size)


class CephPlace:
    name = "gateway"

    def __init__(self, gateway: Gateway, email: str, secret: str) -> None:
        self._gateway = gateway
        self.url, self.email, self.secret = gateway.url, email, secret
        gateway.make_account(email, secret)
        other = f"other-than-{email}"
        gateway.make_account(other, "another-token")
        self._other = connect(gateway.url, other, "another-token")

    def take_name(self, bucket: str) -> None:
        self._other.create_bucket(Bucket=bucket)

    def limit(self, *, buckets: int | None = None, size: int | None = None) -> None:
        self._gateway.limit(self.email, buckets=1000 if buckets is None else buckets, size=-1 if size is None else size)


def connect(url: str, email: str, secret: str, session: boto3.session.Session | None = None, **more: Any) -> Any:
    """Make boto3's client as the SDK makes it."""
    config = Config(**{"request_checksum_calculation": "when_required", **more})
    return (session or boto3).client(
        "s3", endpoint_url=url, config=config,
        aws_access_key_id=email, aws_secret_access_key=secret,
    )  # fmt: skip
