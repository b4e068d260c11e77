"""Rewriting of requests to a session's app and of its responses: the app is served below another address.

The app receives requests for `http://localhost:PORT<base path>`, because Jupyter servers accept that host without
further configuration; the visitor sees it at `PREFIX/rq-<id>/`. Which parts of answers hold addresses was measured
(`reference/anywhere.md` §1).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from tornado.httputil import HTTPHeaders

from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.model.connections import Mount
from run_qarnot.page.app_cookies import AppCookies
from run_qarnot.page.streaming_proxy import BodyRewriter

_MAX_PAGE_BYTES = 32 * 1024 * 1024
# JSON with addresses of icons: of kernels, and of tiles in the launcher (jupyter-server-proxy)
_LISTS = re.compile(r"api/kernelspecs(/[^/]*)?|server-proxy/servers-info")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# They identify the visitor or the proxies in front, which the remote machine must not learn, or are meant for us.
_NOT_FOR_APPS = (
    "Authorization", "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto",
    "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Real-Ip", "X-Scheme", "Cf-Connecting-Ip",
    "True-Client-Ip",
)  # fmt: skip
# They apply to the whole origin, which is the dashboard's, too.
_NOT_FOR_VISITORS = (
    "Alt-Svc", "Clear-Site-Data", "Nel", "Report-To", "Reporting-Endpoints", "Service-Worker-Allowed", "Set-Login",
    "Strict-Transport-Security",
)  # fmt: skip


@dataclass(frozen=True)
class Rewriting:
    """The two addresses of one session.

    Arguments:
        session: what runs there.
        outer_path: of the session on this server, such as `/sub/rq-0123456789ab/`.
        origin: of the page that the visitor sees.
        cookies: of the app.
    """

    session: ProxiedSession
    outer_path: str
    origin: str
    cookies: AppCookies

    def path_for_app(self, uri: str) -> str:
        """Return path and query for the app.

        Arguments:
            uri: path and query of the visitor; it begins with `outer_path`.
        """
        return self.session.base_path + uri.removeprefix(self.outer_path)

    def request_headers(self, headers: HTTPHeaders) -> None:
        """Change a request's headers, in place."""
        cookies = self.cookies.to_app("; ".join(headers.get_list("Cookie")))
        referer = headers.get("Referer")
        for name in (*_NOT_FOR_APPS, "Cookie", "Referer"):
            headers.pop(name, None)
        headers["Host"] = self._app_host
        if "Origin" in headers:
            headers["Origin"] = f"http://{self._app_host}"
        if referer and (path := self._path_of_referer(referer)):
            headers["Referer"] = f"http://{self._app_host}{path}"
        if cookies:
            headers["Cookie"] = cookies
        if self.session.app_token:
            headers["Authorization"] = f"token {self.session.app_token}"
        if self.session.mount is Mount.STRIP:
            headers["X-Forwarded-Prefix"] = self.outer_path.rstrip("/")
        if "Accept-Encoding" in headers:  # pages are decompressed in order to rewrite them
            headers["Accept-Encoding"] = "gzip" if "gzip" in headers["Accept-Encoding"].lower() else "identity"

    def response_headers(self, status: int, headers: HTTPHeaders) -> None:
        """Change an answer's headers, in place."""
        set_cookies = headers.get_list("Set-Cookie")
        for name in (*_NOT_FOR_VISITORS, "Set-Cookie"):
            headers.pop(name, None)
        for name in list(headers):
            values = headers.get_list(name)
            del headers[name]
            for value in values:
                headers.add(name, self._for_visitor(name, value))
        headers["X-Accel-Buffering"] = "no"  # nginx in front would otherwise buffer a streamed response
        if status != 101:  # old versions of Jupyter set a cookie there, with the inner path
            for each in set_cookies:
                if cookie := self.cookies.to_visitor(each, self.outer_path):
                    headers.add("Set-Cookie", cookie)

    def body_rewriter(self, status: int, path: str, headers: HTTPHeaders) -> BodyRewriter | None:
        """Return a function that rewrites the body of a page or of a list of kernels; None for files and all else.

        Arguments:
            status: of the answer.
            path: of the request, below `outer_path`.
            headers: of the answer.
        """
        if not self._holds_addresses(status, path, headers):
            return None

        def rewrite(body: bytes) -> bytes:
            plain = _unpack(body) if "Content-Encoding" in headers else body
            if plain is None:
                return body
            headers.pop("Content-Encoding", None)
            return self._for_visitor_bytes(plain)

        return rewrite

    def _holds_addresses(self, status: int, path: str, headers: HTTPHeaders) -> bool:
        kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        is_file = path.startswith("files/") or headers.get("Content-Disposition", "").lower().startswith("attachment")
        is_packed = headers.get("Content-Encoding", "gzip").lower() not in ("gzip", "x-gzip")
        if status == 206 or is_file or is_packed:
            return False
        is_list = kind == "application/json" and _LISTS.fullmatch(path.partition("?")[0]) is not None
        return kind in ("text/html", "application/xhtml+xml") or is_list

    def _for_visitor_bytes(self, body: bytes) -> bytes:
        if self.session.mount is Mount.PREFIX:
            body = body.replace(self.session.base_path.encode(), self.outer_path.encode())
        return body.replace(self.session.app_token.encode(), b"") if self.session.app_token else body

    def _for_visitor(self, name: str, value: str) -> str:
        if self.session.app_token:
            value = value.replace(self.session.app_token, "")
        if name in ("Location", "Content-Location"):
            return self._outer_address(value)
        if self.session.mount is Mount.PREFIX:  # the base path is unique, so that it can be replaced anywhere
            value = value.replace(self.session.base_path, self.outer_path)
        return value

    def _outer_address(self, address: str) -> str:
        """Return a redirect target below the visitor's address. Relative ones, and those of other servers, stay."""
        try:
            parts = urlsplit(address)
            is_app = parts.hostname in _LOOPBACK and (parts.port or 80) == self.session.app_port
        except ValueError:
            return address
        if (parts.netloc and not is_app) or not parts.path.startswith("/") or address.startswith(self.outer_path):
            return address
        below = (parts.path + "/" if parts.path == self.session.base_path[:-1] else parts.path).removeprefix(
            self.session.base_path
        )
        return urlunsplit(("", "", self.outer_path + below.lstrip("/"), parts.query, parts.fragment))

    def _path_of_referer(self, referer: str) -> str | None:
        below = referer.removeprefix(self.origin)
        return self.path_for_app(below) if below.startswith(self.outer_path) else None

    @property
    def _app_host(self) -> str:
        return f"localhost:{self.session.app_port}"


def _unpack(body: bytes) -> bytes | None:
    """Decompress gzip; return None if it is damaged or larger than `_MAX_PAGE_BYTES` (a decompression bomb)."""
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(body, _MAX_PAGE_BYTES)
    except zlib.error:
        return None
    return plain if unpacking.eof and not unpacking.unused_data else None
