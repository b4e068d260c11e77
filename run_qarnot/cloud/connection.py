"""The SDK's connection, with its leaks closed in one place (`reference/qarnot-platform.md` §1.1, §6).

What it takes from the environment unasked, and what we do about it:

- `~/.netrc` replaces the token: an own authentication is set, and no netrc is read while connecting.
- `AWS_*` and `~/.aws` choose region, profile and endpoint of the storage: not seen while its client is made. A CA
  bundle for AWS stays, because networks that need it need it here too.
- `QARNOT_CLUSTER_TIMEOUT` and `QARNOT_CLUSTER_UNSAFE` override what they are told: read by `settings`, not by it.
- It prints to our standard output: it is given a logger.
- It has no time-out, and its retries sleep up to 31 seconds uninterruptibly: time-outs are set, retries are ours.
- Its storage client waits 60 seconds for a storage that is dead, and takes no other time: the same clients are made
  here, with ours.

Proxies of the environment stay in force: in many laboratories there is no other way out. But what is on this machine,
such as the local cluster, is never asked for through one: the proxy would look for it on its own.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import requests
from botocore.config import Config
from botocore.loaders import create_loader
from qarnot.connection import Connection

from run_qarnot.cloud.s3.signing import sign_by
from run_qarnot.core.errors import UnreachableError
from run_qarnot.model.settings import Settings

FIRST_TIMEOUT = (2.0, 4.0)  # seconds to connect, to answer: "not there" is said within five seconds
TIMEOUT = (4.0, 30.0)  # once it has answered, a slow cluster is given time
STORAGE_TIMEOUT = (4.0, 8.0)  # for calls with small answers, that somebody waits for
TRANSFER_TIMEOUT = (4.0, 60.0)  # what was sent may still be in the buffers of a slow line

_KEPT = {"AWS_CA_BUNDLE"}
_NOT_SEEN = ("AWS_", "QARNOT_")
_SET = {
    "NETRC": os.devnull,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_environment = threading.Lock()
log = logging.getLogger("run_qarnot.sdk")


class TokenAuth(requests.auth.AuthBase):
    """The token as the header wants it: raw, without `Bearer`. As long as it is set, requests reads no `~/.netrc`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._token
        return request


class WithoutProxy(requests.adapters.HTTPAdapter):
    """Connects directly. Unlike `trust_env`, it leaves the CA bundle of the environment in force."""

    def send(self, *arguments: Any, **more: Any) -> requests.Response:
        return super().send(*arguments, **{**more, "proxies": {}})


def connect(settings: Settings, token: str) -> Connection:
    """Connect. Two requests are made: `GET /settings`, `GET /info`.

    Raises:
        Exception: whatever the SDK lets out; `translate` knows.
    """
    with _closed_environment():
        connection = Connection(
            client_token=token,
            cluster_url=settings.cluster_url,
            storage_url=settings.storage_url,
            cluster_unsafe=settings.cluster_unsafe,
            cluster_timeout=FIRST_TIMEOUT,  # requests takes pairs, and the SDK passes it on
            retry_count=0,
            show_bucket_warnings=False,
            logger=log,
        )
    connection._http.auth = TokenAuth(token)
    if urlsplit(settings.cluster_url).hostname in _LOOPBACK:
        connection._http.mount(settings.cluster_url, WithoutProxy())
    connection.timeout = TIMEOUT
    return connection


def twin(connection: Connection) -> Connection:
    """Make the same connection for another thread, without a request: one is not for several at once (§6.26)."""
    other = copy.copy(connection)
    other._http = copy.deepcopy(connection._http)
    return other


def storage_clients(connection: Connection, email: str, token: str, clock_offset: timedelta) -> tuple[Any, Any]:
    """Make boto3's clients for the storage of a connection, as the SDK makes its own (§1.2): for calls, for transfers.

    Arguments:
        clock_offset: how far the cluster's clock is ahead of this machine's.

    Raises:
        UnreachableError: the cluster has no storage.
    """
    if connection.s3client is None:
        raise UnreachableError("storage-unreachable", problem="the cluster names none")
    like = connection.s3client.meta
    who = {"aws_access_key_id": email, "aws_secret_access_key": token, "endpoint_url": like.endpoint_url}

    def make(connect: float, read: float) -> Any:
        config = like.config.merge(Config(connect_timeout=connect, read_timeout=read))
        client = session.client("s3", region_name=like.region_name, config=config, **who)
        sign_by(client, clock_offset)
        return client

    with _closed_environment():
        core = botocore.session.get_session()
        core.register_component("data_loader", _models())
        session = boto3.session.Session(botocore_session=core)
        return make(*STORAGE_TIMEOUT), make(*TRANSFER_TIMEOUT)


@functools.cache
def _models() -> Any:
    """What botocore knows of S3, read once in a process instead of once an account: 50 ms, and 30 000 objects."""
    return create_loader()


@contextlib.contextmanager
def _closed_environment() -> Iterator[None]:
    """Hide what the SDK and its libraries would take from the environment. One connection is made at a time."""
    with _environment:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if _is_hidden(name)}
        wanted = {**_SET, "no_proxy": _no_proxy()}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
            os.environ.update({name: value for name, value in before.items() if value is not None} | hidden)


def _no_proxy() -> str:
    """What is asked for directly: what the user says, and this machine. The SDK's first calls know no other way."""
    said = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    return said if said.strip() == "*" else ",".join(filter(None, (said, *_LOOPBACK)))


def _is_hidden(name: str) -> bool:
    return name.startswith(_NOT_SEEN) and name not in _KEPT
