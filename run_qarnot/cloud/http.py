"""HTTP requests to the cluster: a session of `requests` with explicit settings.

Proxies and certificate bundles are taken from the environment, because many networks need them. `~/.netrc` is never
read, not even after a redirect (`reference/qarnot-platform.md` §1.1). Addresses of this machine, such as the local
cluster, are never requested through a proxy, which would look for them on its own machine.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from run_qarnot.cloud.limits import Deadline, LimitedBody, watched, watching
from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message

ANSWER_SECONDS = 40.0  # for a whole answer, with its redirects
MOST_BYTES = 64 << 20  # of an answer; a hundred tasks are 1 MB
_MOST_REDIRECTS = 5
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


class TokenAuth(requests.auth.AuthBase):
    """Sends the token as it is, without `Bearer`. A user name in the address does not replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._token
        return request


class HttpSession(requests.Session):
    """A session for one thread.

    Arguments:
        unsafe: do not check certificates.
        token: sent with requests, but to no other host after a redirect.
        user_agent: sent as `User-Agent`.
    """

    def __init__(self, *, unsafe: bool = False, token: str | None = None, user_agent: str | None = None) -> None:
        super().__init__()
        if unsafe:  # the user chose it; a warning per request would mix with a command's output
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.trust_env = False
        self.max_redirects = _MOST_REDIRECTS
        self.verify = False if unsafe else ca_bundle()
        self.auth = None if token is None else TokenAuth(token)
        if user_agent is not None:
            self.headers["User-Agent"] = user_agent
        self._is_sending = False
        self.ends: float | None = None  # deadline of the answer; None: ANSWER_SECONDS from now
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request. Only requests that change nothing follow redirects: for others, GET would replace the
        method."""
        if self._is_sending:  # `requests` calls this for each redirect
            return super().send(request, **options)
        options["allow_redirects"] = options.get("allow_redirects", True) and request.method in {"GET", "HEAD"}
        seconds = ANSWER_SECONDS if self.ends is None else max(self.ends - time.monotonic(), 0.1)
        self._is_sending = True
        try:
            with watching(Deadline(seconds)):
                return super().send(request, **options)
        finally:
            self._is_sending = False

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Take proxies from the environment, and no other settings."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        settings["proxies"] = proxies_for(str(url), socks=find_spec("socks") is not None)
        return settings


class _Adapter(HTTPAdapter):
    """Limits the time and the size of answers."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        _watch_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **named: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **named)
        if is_new:
            _watch_pools(manager)
        return manager

    def send(self, *arguments: Any, **named: Any) -> requests.Response:
        response = super().send(*arguments, **named)
        response.raw = LimitedBody(response.raw, MOST_BYTES)
        return response


def _watch_pools(manager: Any) -> None:
    pools: Mapping[str, type] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: watched(pool) for scheme, pool in pools.items()}


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def proxies_for(url: str, *, socks: bool) -> dict[str, str]:
    """Return the proxies for an address, by scheme, from the environment.

    Arguments:
        socks: a SOCKS proxy can be used.

    Raises:
        InputError: the environment names a proxy that cannot be used.
    """
    if is_loopback(url):
        return {}
    proxies = dict(requests.utils.get_environ_proxies(url))
    proxy = requests.utils.select_proxy(url, proxies) or ""
    if proxy.lower().startswith("socks") and not socks:
        name = next((name for each in _PROXIES for name in (each, each.lower()) if os.environ.get(name) == proxy), "")
        raise InputError(
            "settings", name=name or Message("the-proxy"), value=f"{proxy.partition(':')[0]}://…",
            problem=Message("proxy-kind"), hint=Message("name-http-proxy"),
        )  # fmt: skip
    return proxies


def ca_bundle() -> str | bool:
    """Return the file or folder with the certificates that are trusted; True for those that come with `requests`.

    Raises:
        InputError: the environment names one that cannot be used.
    """
    for name in _CA_BUNDLES:
        if path := os.environ.get(name):
            is_folder = Path(path).is_dir()
            try:
                ssl.create_default_context(cafile=None if is_folder else path, capath=path if is_folder else None)
            except OSError as error:
                raise InputError(
                    "settings", name=name, value=path, problem=Message("no-certificates"),
                    hint=Message("name-certificates"),
                ) from error  # fmt: skip
            return path
    return True
