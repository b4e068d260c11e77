"""Connections to one account: to its API, and to its storage.

Neither the SDK nor botocore looks for settings by itself (`reference/qarnot-platform.md` §1.1, §6): `~/.netrc`,
`AWS_*`, `~/.aws`, `QARNOT_CLUSTER_TIMEOUT` and their like are not read; proxies and certificates are (`http`). The
environment of the process is never changed.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import botocore.session
import qarnot
import requests
from botocore.config import Config
from botocore.loaders import create_loader

from run_qarnot.cloud.http import HttpSession, ca_bundle, proxies_for
from run_qarnot.cloud.internals import limit_answers
from run_qarnot.cloud.s3.signing import sign_by
from run_qarnot.model.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_TIMEOUT = (2.0, 4.0)  # seconds to connect, between two reads
TIMEOUT = (4.0, 30.0)  # after the first answer; a slow cluster gets more time
FIRST_SECONDS = 4.5  # for all requests of the connection: an unreachable cluster is reported within five seconds
STORAGE_TIMEOUT = (4.0, 8.0)  # seconds to connect, between two reads: for small answers that somebody waits for
STORAGE_SECONDS = 15.0  # for the whole of such an answer
TRANSFER_TIMEOUT = (4.0, 60.0)  # sent data may still be in the buffers of a slow line
TRANSFER_SECONDS = 120.0  # for the answer to what was sent, and for each piece of a file
_USER_AGENT = f"qarnot-sdk-python/{qarnot.__version__}"
_REGION = "us-east-1"  # the storage takes any; without one botocore looks for it in the environment


class Api:
    """The REST API, which several threads may ask: a session, and its connection, serves one at a time.

    Arguments:
        settings: where the cluster is.
        token: of the account.
    """

    def __init__(self, settings: Settings, token: str) -> None:
        self._address = settings.cluster_url
        self._unsafe = settings.cluster_unsafe
        self._token = token
        self._idle: deque[HttpSession] = deque()
        self._first_ends: float | None = time.monotonic() + FIRST_SECONDS

    def connected(self) -> None:
        """Use the longer time-outs from now on: the cluster has answered."""
        self._first_ends = None

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        """Send a request. An error status is returned, not raised.

        Raises:
            Exception: any error of `requests`, and `AnswerLimitError`; `translate` handles them.
        """
        try:
            session = self._idle.pop()
        except IndexError:
            session = HttpSession(unsafe=self._unsafe, token=self._token, user_agent=_USER_AGENT)
        session.ends = self._first_ends
        timeout = TIMEOUT if self._first_ends is None else FIRST_TIMEOUT
        content = {} if body is None else {"data": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        try:
            return session.request(method, self._address + path, timeout=timeout, **content)  # type: ignore[arg-type]
        finally:
            self._idle.append(session)


def storage_clients(address: str, email: str, token: str, clock_offset: timedelta) -> tuple[S3Client, S3Client]:
    """Make two clients for a storage, for calls and for transfers, with the credentials that the SDK uses (§1.2).

    Arguments:
        address: of the storage.
        clock_offset: how far the cluster's clock is ahead of this machine's.

    Raises:
        InputError: the environment names a proxy or certificates that cannot be used.
    """
    certificates = ca_bundle()
    proxies = proxies_for(address, socks=False)  # botocore supports no SOCKS proxies
    session = _storage_session()

    def make(timeout: tuple[float, float]) -> S3Client:
        config = Config(
            user_agent=_USER_AGENT,
            request_checksum_calculation="when_required",
            connect_timeout=timeout[0],
            read_timeout=timeout[1],
            proxies=proxies,
        )
        client: S3Client = session.create_client(  # type: ignore[assignment]  # the stubs know only boto3's way
            "s3",
            region_name=_REGION,
            endpoint_url=address,
            aws_access_key_id=email,
            aws_secret_access_key=token,
            verify=certificates,
            config=config,
        )
        sign_by(client, clock_offset)
        return client

    calls, transfers = make(STORAGE_TIMEOUT), make(TRANSFER_TIMEOUT)
    limit_answers(calls, STORAGE_SECONDS)
    limit_answers(transfers, TRANSFER_SECONDS, from_sending=True)
    return calls, transfers


def _storage_session() -> botocore.session.Session:
    """Return a session that reads neither the environment nor files: each setting has botocore's own default."""
    defaults = botocore.session.Session.SESSION_VARIABLES
    settings = {name: (None, None, default, convert) for name, (_, _, default, convert) in defaults.items()}
    for name in ("config_file", "credentials_file"):
        settings[name] = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars=settings)
    session.register_component("data_loader", _models())
    return session


@functools.cache
def _models() -> Any:
    """Return botocore's description of S3, read once per process instead of once per account: 50 ms and 30 000
    objects."""
    return create_loader()
