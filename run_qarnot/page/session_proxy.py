"""The proxy into sessions: `PREFIX/rq-<id>/…` is the app of a session, for browsers that a kernel has authorised.

The page asks its kernel for a ticket and opens `PREFIX/rq-<id>/?rq-ticket=…`. The ticket works once; it sets a cookie
for this path and redirects to the app's page. From then on the cookie is checked: the tab can be reloaded, and the
dashboard closed. The app's own token is added here; browsers never see it.

With that token Jupyter does no check against forged requests, so this handler does: `Origin` and `Sec-Fetch-Site`
must be those of the session's own page (`reference/anywhere.md` §4).
"""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest

from run_qarnot.page.proxied import TICKET
from run_qarnot.page.session_notice import notice
from run_qarnot.page.session_registry import RegisteredSession, SessionRegistry, UnreachableSessionError
from run_qarnot.page.session_rewriting import Rewriting
from run_qarnot.page.streaming_proxy import BodyRewriter, StreamingProxyHandler
from run_qarnot.page.visits import COOKIE, sign_visit

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def route(base_url: str, registry: SessionRegistry) -> tuple[str, Any, dict[str, Any]]:
    """Return the entry for Tornado's list of handlers.

    Arguments:
        base_url: of the dashboard, with a slash at both ends.
        registry: of the server.
    """
    arguments = {"registry": registry, "base_url": base_url}
    return rf"{re.escape(base_url)}(rq-[0-9a-f]{{12}})(?:(/).*)?", SessionProxyHandler, arguments


def is_foreign(request: HTTPServerRequest, origin: str) -> bool:
    """Whether a page of another origin than the session's own sent a request.

    Arguments:
        request: of a browser.
        origin: of the session's page.
    """
    site, sender = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none") and not _is_visit(request)
    if sender is not None:
        return sender.lower() != origin.lower()
    return (
        request.method not in _SAFE_METHODS or "Upgrade" in request.headers
    )  # browsers send one of both headers with these


class SessionProxyHandler(StreamingProxyHandler):
    """Forwards requests to a session's app."""

    is_public = True  # it checks the session's cookie, not the dashboard's login
    _rewriting: Rewriting | None = None

    def initialize(self, registry: SessionRegistry, base_url: str) -> None:
        self._registry = registry
        self._base_url = base_url

    def check_xsrf_cookie(self) -> None:
        """Do nothing: the cookie of that name is the app's. `is_foreign` is the check."""

    async def prepare(self) -> None:
        session_id, below = self.path_args
        self._path = f"{self._base_url}{session_id}/"
        known = self._registry.find(session_id)
        if not below:
            await self._lead_to(self._path + (f"?{self.request.query}" if self.request.query else ""))
        elif known is None:
            await self._say("unknown")
        elif ticket := self._ticket():
            await self._let_in(known, ticket)
        elif (origin := known.origin_of_visit(self._cookie())) is None:
            await self._say("closed")
        elif is_foreign(self.request, origin):
            await self._say("foreign")
        elif known.has_ended:
            await self._say("ended")
        else:
            self._rewriting = Rewriting(known.session, self._path, origin, known.cookies)
            await self._pass_on(known)

    async def _pass_on(self, known: RegisteredSession) -> None:
        self._session = known
        known.acquire()
        try:
            address = await known.address()
        except UnreachableSessionError:
            known.release()
            await self.answer_unreachable()
        else:
            await self.forward(address, known.kept)

    def on_forward_end(self) -> None:
        self._session.release()

    def rewrite_request(self, headers: HTTPHeaders) -> str:
        assert self._rewriting is not None
        self._rewriting.request_headers(headers)
        return self._rewriting.path_for_app(self.request.uri or "")

    def rewrite_response(self, status: int, headers: HTTPHeaders) -> None:
        assert self._rewriting is not None
        self._rewriting.response_headers(status, headers)

    def make_body_rewriter(self, status: int, headers: HTTPHeaders) -> BodyRewriter | None:
        assert self._rewriting is not None
        return self._rewriting.body_rewriter(status, (self.request.uri or "").removeprefix(self._path), headers)

    async def answer_unreachable(self) -> None:
        await self._say("away")

    async def _let_in(self, known: RegisteredSession, ticket: str) -> None:
        """Set the cookie, and redirect to the app's page."""
        found = None
        if self.request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none"):
            found = self._registry.tickets.use(ticket, known.session.id)
        if found is not None:
            value = sign_visit(known.session.key, known.session.id, found.origin)
            secure = "; Secure" if found.origin.startswith("https:") else ""
            cookie = f"{COOKIE}={value}; HttpOnly; SameSite=Strict{secure}; Path={self._path}"
            await self._lead_to(self._path + found.path, cookie)
        elif known.origin_of_visit(self._cookie()) is not None:  # the browser's Back button requests a used ticket
            await self._lead_to(self._path)
        else:
            await self._say("closed")

    async def _lead_to(self, path: str, cookie: str | None = None) -> None:
        headers = HTTPHeaders({"Location": path, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        if cookie:
            headers["Set-Cookie"] = cookie
        await self.answer(302, headers, b"")

    async def _say(self, name: str) -> None:
        await self.answer(*notice(name, self.request, self._base_url))

    def _ticket(self) -> str:
        return self.get_query_argument(TICKET, "") if self.request.method == "GET" else ""

    def _cookie(self) -> str:
        return next((morsel.value for name, morsel in self.request.cookies.items() if name == COOKIE), "")

    def _log(self) -> None:
        """Write no access log: addresses of apps may contain secrets."""


def _is_visit(request: HTTPServerRequest) -> bool:
    """Whether this is a top-level navigation: the page with the link cannot read the response."""
    mode, kind = (request.headers.get(f"Sec-Fetch-{name}") for name in ("Mode", "Dest"))
    return request.method in ("GET", "HEAD") and (mode, kind) == ("navigate", "document")
