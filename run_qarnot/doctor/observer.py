"""Access of the checks to the account. Whatever they create is recorded first, and removed at the end."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from run_qarnot.catalog import Catalog
from run_qarnot.cloud.api import Cloud
from run_qarnot.cloud.probe import Answer, ApiProbe, StorageAnswer, StorageProbe
from run_qarnot.core.errors import RunQarnotError
from run_qarnot.model.settings import Settings

PREFIX = "rq-doctor-"  # of everything that is made
_STALE = timedelta(hours=2)  # older ones are of an examination that was killed

log = logging.getLogger(__name__)


class NotWantedError(Exception):
    """The examination was cancelled."""


class Observer:
    """The account's raw responses. All methods block, and raise `NotWantedError` after cancellation.

    Arguments:
        settings: where it is.
        token: of the account.
        catalog: whose entries are compared with it.
        cloud: the connection that the product itself uses.
    """

    def __init__(self, settings: Settings, token: str, catalog: Catalog, cloud: Cloud) -> None:
        self.settings = settings
        self.catalog = catalog
        self.cloud = cloud
        self.name = f"{PREFIX}{secrets.token_hex(4)}"
        self._token = token
        self._api = ApiProbe(settings, token)
        self._given_up = threading.Event()
        self._removals: list[tuple[str, Callable[[], object]]] = []
        self.tasks: list[str] = []  # ids of those that were started

    @property
    def token(self) -> str:
        """Of the account; a secret."""
        return self._token

    def give_up(self) -> None:
        self._given_up.set()

    def check(self) -> None:
        """Raise if the examination was cancelled."""
        if self._given_up.is_set():
            raise NotWantedError

    def pause(self, seconds: float) -> None:
        self._given_up.wait(seconds)
        self.check()

    def cloud_now(self) -> datetime:
        """The time by the cluster's clock."""
        return datetime.now(UTC) + self.cloud.clock_offset

    # — asking —

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        self.check()
        return self._api.ask(method, path, body)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def fetch(self, method: str, url: str, headers: Mapping[str, str] | None = None, data: bytes = b"") -> Answer:
        self.check()
        return self._api.fetch(method, url, headers, data)

    def store(self, operation: str, **arguments: Any) -> StorageAnswer:
        self.check()
        return self.storage.call(operation, **arguments)

    @cached_property
    def info(self) -> Mapping[str, Any]:
        body = self.get("/info").body
        return body if isinstance(body, Mapping) else {}

    @cached_property
    def profiles(self) -> list[str]:
        self.check()
        return self.cloud.profiles()

    @cached_property
    def storage_address(self) -> str:
        body = self.get("/settings").body
        told = body.get("storage") if isinstance(body, Mapping) else None
        return self.settings.storage_url or str(told or "https://storage.qarnot.com")

    @cached_property
    def storage(self) -> StorageProbe:
        return self.storage_by_clock(self.cloud.clock_offset)

    def storage_by_clock(self, offset: timedelta) -> StorageProbe:
        """Return a client that signs requests with this computer's time plus `offset`."""
        return StorageProbe(self.storage_address, self.cloud.email, self._token, offset)

    # — making and removing —

    def removes(self, what: str, how: Callable[[], object]) -> None:
        """Register something to be removed at the end. Call it before creating it: the response may get lost."""
        self.check()
        self._removals.append((what, how))

    def make_bucket(self, suffix: str = "") -> str:
        """Create a bucket that is removed at the end; return its name.

        Raises:
            RunQarnotError: the account may not have it.
        """
        bucket = f"{self.name}{suffix}"
        self.removes(f"the bucket {bucket}", lambda: self.cloud.storage.delete_bucket(bucket))
        self.cloud.storage.create(bucket, self.name)
        return bucket

    @cached_property
    def bucket(self) -> str:
        """The bucket that the storage checks share."""
        return self.make_bucket()

    def remove(self) -> list[str]:
        """Remove everything that was created, newest first; return what could not be removed."""
        left = []
        while self._removals:
            what, how = self._removals.pop()
            try:
                how()
            except RunQarnotError as error:
                log.info("%s: %s", what, error)
                left.append(what)
        return left[::-1]

    def remove_stale(self) -> list[str]:
        """Remove the buckets of examinations that were killed; return their names."""
        found = []
        for bucket, made in self.cloud.storage.buckets().items():
            if not bucket.startswith(PREFIX) or self.cloud_now() - made <= _STALE:
                continue
            owner = self.cloud.storage.owner(bucket) or ""
            if owner.startswith(PREFIX) and bucket.startswith(owner):
                self.cloud.storage.delete_bucket(bucket)
                found.append(bucket)
        return found
