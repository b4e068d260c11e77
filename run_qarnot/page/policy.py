"""Which requests are accepted: a check of host names, and of the origin that browsers report (CSRF, DNS rebinding).

Any web page can make a visitor's browser send requests to this server, with the visitor's cookies. Browsers mark such
requests: with `Sec-Fetch-*` where the address is HTTPS or loopback, with `Origin` for websockets and forms. A request
with neither comes from a program, or from a page whose requests carry no login cookie (`SameSite=Lax`).
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_OWN = {"same-origin", "none"}


@dataclass(frozen=True)
class Policy:
    """How a server is reached.

    Arguments:
        port: where it listens; None for a Unix socket.
        local_only: it listens on loopback only, and there is no proxy in front.
        trust_proxy: trust the `X-Forwarded-Host` header of all clients.
    """

    port: int | None
    local_only: bool
    trust_proxy: bool

    def read_proxy_headers(self, request: HTTPServerRequest) -> None:
        """Set `request.host` to the host that the visitor's browser requested, if the proxy states it."""
        name = request.headers.get("X-Forwarded-Host", "").split(",")[0].strip()
        if self.trust_proxy and _HOST.fullmatch(name):
            request.host = request.headers["Host"] = name

    def knows_host(self, request: HTTPServerRequest) -> bool:
        """Whether the request's host is the one that the visitor's browser requested.

        Proxies that do not forward `Host` send their own target: our port, or any text for a Unix socket.
        """
        if not self.trust_proxy or "X-Forwarded-Host" in request.headers:
            return True
        return self.port is not None and urlsplit(f"//{request.host}").port != self.port

    def is_foreign_name(self, request: HTTPServerRequest) -> bool:
        """Whether the `Host` header is not a loopback name, on a server for this machine alone: DNS rebinding."""
        if not self.local_only:
            return False
        with suppress(ValueError):
            name = urlsplit(f"//{request.host}").hostname or ""
            return not is_loopback(name)
        return True

    def is_foreign_page(self, request: HTTPServerRequest) -> bool:
        """Whether a page of another origin sent the request, except by a link that was followed."""
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is not None:
            return site not in _OWN and not is_visit(request)
        if origin is None or not self.knows_host(request):
            return False
        with suppress(ValueError):
            return urlsplit(origin.lower()).netloc != request.host.lower()
        return True


def is_visit(request: HTTPServerRequest) -> bool:
    """Whether this is a top-level navigation."""
    headers = request.headers
    is_document = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return request.method in {"GET", "HEAD"} and is_document


def is_prefetch(request: HTTPServerRequest) -> bool:
    """Whether the browser prefetches."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


def wants_page(request: HTTPServerRequest) -> bool:
    """Whether the request is for an HTML page, so that a redirect to the login form makes sense."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if request.method not in {"GET", "HEAD"} or "Upgrade" in request.headers:
        return False
    return mode == "navigate" if mode else "text/html" in request.headers.get("Accept", "")


def is_loopback(name: str) -> bool:
    """Whether an address, or a name, is this machine's own."""
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"
