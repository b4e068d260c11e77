"""Raw answers of the cluster and its storage, for `run_qarnot.doctor`.

Nothing is translated, retried or raised: an error is an answer, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from run_qarnot.cloud.connection import FIRST_TIMEOUT, Api, storage_clients
from run_qarnot.cloud.http import HttpSession, proxies_for
from run_qarnot.cloud.json import NotJsonError, read_json
from run_qarnot.cloud.lenient_xml import accept_any_key
from run_qarnot.cloud.limits import AnswerLimitError
from run_qarnot.core.errors import InputError
from run_qarnot.model.settings import Settings

_LONGEST_TEXT = 4000  # characters; the rest of an answer is dropped


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP.

    Arguments:
        status: 0 without an answer; `text` then says why.
        body: JSON; None for anything else.
        headers: by lower-case names.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    seconds: float = 0.0

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class StorageAnswer:
    """An answer of the storage: `code` is S3's error code, or the status such as "200" without an error."""

    status: int
    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    def __str__(self) -> str:
        return self.code if self.code == str(self.status) or not self.status else f"{self.status} {self.code}"


class ApiProbe:
    """The REST API with the account's token, and any other address without it."""

    def __init__(self, settings: Settings, token: str) -> None:
        self._api = Api(settings, token)
        self._api.connected()
        self._unsafe = settings.cluster_unsafe

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask the API, such as `ask("GET", "/info")`. Blocks."""
        return _answer(lambda: self._api.call(method, path, body))

    def fetch(self, method: str, url: str, headers: Mapping[str, str] | None = None, data: bytes = b"") -> Answer:
        """Ask any address as a browser would: without the token. Blocks."""
        session = HttpSession(unsafe=self._unsafe)
        return _answer(
            lambda: session.request(method, url, headers=dict(headers or {}), data=data or None, timeout=FIRST_TIMEOUT)
        )


def proxy_of(url: str) -> str:
    """Return the proxy for an address, from the environment; empty for none.

    Raises:
        InputError: it cannot be used.
    """
    return next(iter(proxies_for(url, socks=True).values()), "")


class StorageProbe:
    """The storage with the account's keys; each request is sent once.

    Arguments:
        address: of the storage.
        email, token: of the account.
        clock_offset: how far the clock that signs is ahead of this machine's.
    """

    def __init__(self, address: str, email: str, token: str, clock_offset: timedelta) -> None:
        _, self._client = storage_clients(address, email, token, clock_offset)
        self._client.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")
        accept_any_key(self._client)

    def call(self, operation: str, **arguments: Any) -> StorageAnswer:
        """Ask for an operation by boto3's name, such as `put_object`. Blocks."""
        try:
            values = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            return StorageAnswer(status, str(error.response.get("Error", {}).get("Code", "")) or str(status))
        except ResponseParserError:
            return StorageAnswer(200, "an answer that is no XML")
        except (BotoCoreError, AnswerLimitError) as error:
            return StorageAnswer(0, type(error).__name__)
        status = int(values["ResponseMetadata"]["HTTPStatusCode"])
        return StorageAnswer(status, str(status), values)

    def read(self, bucket: str, key: str, **more: Any) -> bytes | None:
        """Return the content of a small object; None if it cannot be had. Blocks."""
        answer = self.call("get_object", Bucket=bucket, Key=key, **more)
        return bytes(answer.values["Body"].read()) if answer.is_ok else None

    def sign(self, operation: str, seconds: int, **arguments: Any) -> str:
        """Return an address that does one operation without the keys, for so many seconds. A secret."""
        return str(self._client.generate_presigned_url(operation, Params=arguments, ExpiresIn=seconds))


def _answer(call: Any) -> Answer:
    begun = time.monotonic()
    try:
        response: requests.Response = call()
        content = response.content
    except (requests.RequestException, AnswerLimitError, InputError, OSError) as error:
        return Answer(0, text=type(error).__name__, seconds=time.monotonic() - begun)
    try:
        body = read_json(content)
    except NotJsonError:
        body = None
    headers = {name.lower(): value for name, value in response.headers.items()}
    text = content[:_LONGEST_TEXT].decode("utf-8", "replace")
    return Answer(response.status_code, body, headers, text, time.monotonic() - begun)
