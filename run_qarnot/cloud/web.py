"""Streams files from the web, for inputs that are given as URLs.

A URL may come from a stranger, in a form of a shared server. Files can therefore be restricted to public addresses, to
keep the server's own network out of reach: every host name is resolved before a connection, and the address that was
actually connected to is checked again, because a name may resolve differently a moment later.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from run_qarnot.cloud.errors import network_problem
from run_qarnot.cloud.http import ca_bundle, proxies_for
from run_qarnot.core.errors import InputError, RunQarnotError, TransferError, UnreachableError
from run_qarnot.core.messages import Message
from run_qarnot.model.web_file import WebFile, is_web_address, shown_address

log = logging.getLogger(__name__)
MOST_REDIRECTS = 5
WAITS = (0.5, 2.0, 5.0, 10.0)  # seconds before each further attempt that received nothing
_CHUNK = 256 << 10
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 30.0
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind IPv6 (NAT64)
_RANGE = re.compile(r"bytes (\d+)-\d*/(\d+)")
_FETCHABLE = (200, 206)
_EMPTY = 416  # of a range, in a file without content
_DENIED = (401, 403, 407)
_GONE = (404, 410)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class PrivateAddressError(OSError):
    """A host name resolves to an address in this machine's own network."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet and not to a private network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


def check_public(host: str) -> None:
    """Raise PrivateAddressError if a host name, or one of the addresses it resolves to, is not public.

    Raises:
        OSError: it cannot be resolved.
    """
    found = {str(info[4][0]) for info in socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)}
    if not found or not all(map(is_public, found)):
        raise PrivateAddressError(host)


def checked_pools() -> dict[str, type]:
    """Return connection pool classes for `urllib3`, by scheme, that connect only to public addresses."""
    return {"http": _PublicPool, "https": _PublicSecurePool}


def private_host(error: BaseException) -> str:
    """Return the host name that caused a PrivateAddressError; empty if the request failed for another reason."""
    return next((str(cause) for cause in _causes(error) if isinstance(cause, PrivateAddressError)), "")


def _connect_publicly(connection: Any, connect: Callable[[], socket.socket]) -> socket.socket:
    check_public(connection.host)
    found = connect()
    if not is_public(str(found.getpeername()[0])):
        found.close()
        raise PrivateAddressError(connection.host)
    return found


class _PublicConnection(urllib3.connection.HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_publicly(self, super()._new_conn)


class _PublicSecureConnection(urllib3.connection.HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect_publicly(self, super()._new_conn)


class _PublicPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PublicConnection


class _PublicSecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicSecureConnection


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = checked_pools()


@dataclass(frozen=True)
class Found:
    """A server's description of a file: its URL after redirects, its size, and whether it supports ranges."""

    url: str
    size: int | None
    version: str  # ETag or Last-Modified, to check that a later response is for the same file


class WebReader:
    """Reads one file. Its methods block.

    Arguments:
        file: already validated.
        cancelled: polled often; True ends the transfer.
    """

    def __init__(self, file: WebFile, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._file = file
        self._cancelled = cancelled
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": "run-qarnot", "Accept-Encoding": "identity"})
        if file.public_only:
            for scheme in ("http://", "https://"):
                self._session.mount(scheme, _PublicAdapter())

    def __enter__(self) -> WebReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def look(self) -> WebFile:
        """Return the file with its size, if the server states it.

        Raises:
            RunQarnotError: it does not exist, is not allowed, or its server does not respond.
        """
        with self._asked(0, probe=True) as (_, found):
            return replace(self._file, size=found.size)

    def where(self) -> str:
        """Return the file's URL after redirects.

        Raises:
            RunQarnotError: as `look`.
        """
        with self._asked(0, probe=True) as (_, found):
            return found.url

    def read(self) -> Iterator[bytes]:
        """Yield the content. An interrupted transfer is resumed if the server supports ranges.

        Raises:
            RunQarnotError: as `look`; or the transfer failed for good, or the file changed meanwhile.
        """
        position, failures, first = 0, 0, None
        while True:
            try:
                with self._asked(position, first) as (response, found):
                    first = first or found
                    for chunk in response.raw.stream(_CHUNK, decode_content=first.size is None):
                        self._check_cancelled()
                        position, failures = position + len(chunk), 0
                        yield chunk
                if first.size is None or position >= first.size:
                    break
                error: Exception = urllib3.exceptions.IncompleteRead(position, first.size - position)
            except UnreachableError as unreachable:
                error = unreachable
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as broken:
                error = self._explained(broken)
                if not isinstance(error, UnreachableError):
                    raise error from broken
            self._pause(failures, error)
            failures += 1
        if first.size is not None and position > first.size:
            raise TransferError("web-changed", field="address", address=self._file.shown)

    @contextlib.contextmanager
    def _asked(
        self, position: int, first: Found | None = None, *, probe: bool = False
    ) -> Iterator[tuple[requests.Response, Found]]:
        """Request the file from a position on; with `probe`, only its first byte."""
        wanted = "bytes=0-0" if probe else f"bytes={position}-" if position else ""
        headers = {"Range": wanted} if wanted else {}
        if position and first is not None and first.version:
            headers["If-Range"] = first.version
        response = self._follow(headers)
        with contextlib.closing(response):
            found = self._read_head(response)
            if position and not self._goes_on(response, position, first, found):
                problem = Message("web-no-pieces")
                raise TransferError("web-broke-off", field="address", address=self._file.shown, problem=problem)
            yield response, found

    def _follow(self, headers: dict[str, str]) -> requests.Response:
        """Send a request and follow redirects, checking each like the URL itself."""
        url = self._file.url
        for _ in range(MOST_REDIRECTS + 1):
            self._check_cancelled()
            response = self._get(url, headers)
            if not response.is_redirect:
                return response
            target = urljoin(url, response.headers["Location"])
            response.close()
            is_downgrade = url.startswith("https:") and not target.startswith("https:") and not self._file.sha256
            if not is_web_address(target.partition("#")[0]) or is_downgrade:
                raise InputError("web-leads", field="address", address=self._file.shown, target=shown_address(target))
            url = target.partition("#")[0]
        raise InputError("web-redirects", field="address", address=self._file.shown, most=MOST_REDIRECTS)

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        proxies = proxies_for(url, socks=find_spec("socks") is not None)
        try:
            if proxies and self._file.public_only:
                self._check_behind_proxy(url)
            return self._session.get(
                url, headers=headers, stream=True, allow_redirects=False, proxies=proxies, verify=ca_bundle(),
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            )  # fmt: skip
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._explained(error) from error

    def _check_behind_proxy(self, url: str) -> None:
        """Check a name that a proxy resolves: if it resolves here too, it must be public."""
        with contextlib.suppress(socket.gaierror):
            check_public(urlsplit(url).hostname or "")

    def _read_head(self, response: requests.Response) -> Found:
        status, head = response.status_code, response.headers
        if status in _DENIED:
            raise InputError("web-denied", field="address", address=self._file.shown)
        if status in _GONE:
            raise InputError("web-missing", field="address", address=self._file.shown)
        if status in _PASSING:
            problem = Message("web-status", status=status)
            raise UnreachableError("web-silent", field="address", address=self._file.shown, problem=problem)
        piece = _RANGE.fullmatch(head.get("Content-Range", ""))
        if status == _EMPTY and head.get("Content-Range", "").endswith("*/0"):
            return Found(response.url, 0, "")
        if status not in _FETCHABLE:
            problem = Message("web-status", status=status)
            raise InputError("web-refused", field="address", address=self._file.shown, problem=problem)
        is_encoded = head.get("Content-Encoding", "identity") != "identity"
        length = head.get("Content-Length", "")
        size = int(piece[2]) if piece else int(length) if length.isdecimal() and status != 206 else None
        etag = head.get("ETag", "")
        version = etag if etag and not etag.startswith("W/") else head.get("Last-Modified", "")
        return Found(response.url, None if is_encoded else size, version)

    def _goes_on(self, response: requests.Response, position: int, first: Found | None, found: Found) -> bool:
        piece = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return bool(piece and int(piece[1]) == position and first is not None and found.size == first.size)

    def _explained(self, error: Exception) -> RunQarnotError:
        if isinstance(error, RunQarnotError):
            return error
        if private := private_host(error):
            return InputError("web-private", field="address", host=private)
        return UnreachableError("web-silent", field="address", address=self._file.shown, problem=network_problem(error))

    def _check_cancelled(self) -> None:
        if self._cancelled():
            raise TransferError("transfer-given-up")

    def _pause(self, failures: int, error: Exception) -> None:
        """Wait before another attempt; raise the error if there were too many."""
        if failures >= len(WAITS):
            raise self._explained(error) from error
        log.info("%s broke off; trying again: %s", self._file.key, type(error).__name__)
        end = time.monotonic() + WAITS[failures]
        while time.monotonic() < end:
            self._check_cancelled()
            time.sleep(0.05)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, including those that `requests` and `urllib3` keep in attributes."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
