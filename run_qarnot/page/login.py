"""The login of a dashboard: one token, in the address or in a form, then a signed cookie.

Handlers outside Voila ask `visitor_of(handler)`; `routes.Front` has let nobody else through to them.
"""

from __future__ import annotations

import contextlib
import hmac
import math
import re
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit

import tornado.web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jupyter_server.auth.identity import IdentityProvider, User
from tornado.httputil import HTTPServerRequest

from run_qarnot.core.errors import InputError
from run_qarnot.core.redaction import protect
from run_qarnot.page.limits import Backoff
from run_qarnot.page.plain import PlainHandler, show

SHORTEST_TOKEN = 16
LOCAL = "local"  # the only visitor of a server whose parent has authenticated all requests
_COOKIE_DAYS = 30
_LONGEST_FORM = 64 * 1024
_MOST_LOGGED_OUT = 10_000
_TOKEN_KEY = re.compile(r"(amp;)*token", re.IGNORECASE)  # links that are copied from HTML source contain `&amp;`
_UNUSUAL = re.compile(r"[^\x21-\x7e]|\\")


class TooManyTries(Exception):  # noqa: N818  expected, and shown to the visitor
    """Wrong tokens were tried; the next try is checked in `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = math.ceil(seconds)


class Login:
    """Checks login tokens and cookies.

    Arguments:
        token: the login token; None for a random one.
        base_url: the path that cookies are for.
        is_needed: false when another server has authenticated the visitors.

    Raises:
        InputError: the token is so short that it can be guessed.
    """

    def __init__(self, token: str | None, base_url: str = "/", *, is_needed: bool = True) -> None:
        if token is not None and len(token) < SHORTEST_TOKEN and is_needed:
            raise InputError("login-token-short", length=len(token), shortest=SHORTEST_TOKEN)
        self.is_needed = is_needed
        self.is_random = token is None
        self.token = token or secrets.token_urlsafe(32)
        self.base_url = base_url
        self.backoff = Backoff()
        # Derived, so that cookies outlive a restart exactly as long as the token does.
        key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"run-qarnot login cookie")
        self._secret = key.derive(self.token.encode()).hex()
        self._logged_out: dict[str, None] = {}
        protect(self.token)

    @property
    def query(self) -> str:
        """The query that logs in; empty without a login."""
        return f"?token={quote(self.token, safe='')}" if self.is_needed else ""

    def visitor(self, request: HTTPServerRequest) -> str | None:
        """Return the visitor's id, which is made at the login; None without a valid cookie."""
        if not self.is_needed:
            return LOCAL
        name = self._cookie_name(request)
        morsel = request.cookies.get(name)
        if morsel is None:
            return None
        value = tornado.web.decode_signed_value(self._secret, name, morsel.value, max_age_days=_COOKIE_DAYS)
        visitor = value.decode() if value else None
        return None if visitor in self._logged_out else visitor

    def is_token(self, given: str) -> bool:
        """Whether this is the login token, for visitors who are logged in: a wrong one is not counted."""
        return hmac.compare_digest(given.strip().encode(), self.token.encode())

    def check(self, given: str) -> bool:
        """Whether this is the login token; a wrong one is counted.

        Raises:
            TooManyTries: it was not checked.
        """
        if wait := self.backoff.wait():
            raise TooManyTries(wait)
        is_right = self.is_token(given)
        if not is_right:
            self.backoff.fail()
        return is_right

    def let_in(self, handler: tornado.web.RequestHandler) -> None:
        """Set the cookie."""
        name, request = self._cookie_name(handler.request), handler.request
        value = tornado.web.create_signed_value(self._secret, name, secrets.token_urlsafe(12))
        handler.set_cookie(
            name, value, expires_days=_COOKIE_DAYS, path=self.base_url, httponly=True, samesite="Lax",
            secure=request.protocol == "https",
        )  # fmt: skip

    def let_out(self, handler: tornado.web.RequestHandler) -> None:
        """Delete the cookie, and refuse copies of it until the server ends."""
        visitor = self.visitor(handler.request)
        if visitor is not None:
            self._logged_out[visitor] = None
        while len(self._logged_out) > _MOST_LOGGED_OUT:
            del self._logged_out[next(iter(self._logged_out))]
        handler.clear_cookie(self._cookie_name(handler.request), path=self.base_url)

    def _cookie_name(self, request: HTTPServerRequest) -> str:
        """Contains host and path: cookies ignore ports, and browsers send the cookies of parent paths, too."""
        return re.sub(r"[^A-Za-z0-9]+", "-", f"rq-login-{request.host.lower()}{self.base_url}").strip("-")[:200]

    # addresses

    def next_of(self, text: str) -> str:
        """Return the address to redirect to after the login: one of this dashboard, without a token."""
        try:
            parts = urlsplit("" if _UNUSUAL.search(text) else text)
        except ValueError:  # an incomplete IPv6 address
            return self.base_url
        path = unquote(parts.path)
        is_ours = parts.path.startswith(self.base_url) and not parts.scheme and not parts.netloc
        if not is_ours or "//" in path or "\\" in path or ".." in path.split("/") or text.startswith("//"):
            return self.base_url
        query = without_tokens(parts.query)
        return parts.path + (f"?{query}" if query else "")

    def login_address(self, next_address: str, **more: str) -> str:
        """Return the address of the form."""
        pairs = {"next": next_address, **more} if next_address != self.base_url else more
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in pairs.items())
        return f"{self.base_url}login" + (f"?{query}" if query else "")


def tokens_in(query: str) -> Iterator[str]:
    """Yield the values of all tokens in a query, except empty ones."""
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if value and _TOKEN_KEY.fullmatch(unquote_plus(key)):
            yield unquote_plus(value)


def without_tokens(query: str, instead: str = "") -> str:
    """Return a query without its tokens and otherwise unchanged; `instead` replaces all of them."""
    kept = [part for part in query.split("&") if not _TOKEN_KEY.fullmatch(unquote_plus(part.partition("=")[0]))]
    return "&".join(filter(None, [*kept, instead]))


def login_of(handler: tornado.web.RequestHandler) -> Login:
    """Return the login of a handler's server."""
    login: Login = handler.settings["login"]
    return login


def visitor_of(handler: tornado.web.RequestHandler) -> str | None:
    """Return the visitor of a handler's request; None if nobody is logged in."""
    return login_of(handler).visitor(handler.request)


class Identity(IdentityProvider):  # type: ignore[misc,unused-ignore]
    """Tells the handlers of Jupyter and Voila which visitor is logged in. `routes.Front` has checked the origin."""

    def get_user(self, handler: Any) -> User | None:
        visitor = visitor_of(handler)
        return User(visitor) if visitor else None

    def get_handlers(self) -> list[Any]:
        return []

    def should_check_origin(self, handler: Any) -> bool:
        return False

    def is_token_authenticated(self, handler: Any) -> bool:
        return False


class TokenHandler(PlainHandler):
    """Handles an address with tokens: our own logs in, and all are removed from the address.

    This precedes the page, so that no token reaches a kernel, the page's source or the browser's history.
    """

    def prepare(self) -> None:
        login, tokens = login_of(self), list(tokens_in(self.request.query))
        if not login.is_needed:  # probably the login token of the parent server, which has checked it
            self._go_on()
            return
        is_known = login.visitor(self.request) is not None
        if not is_known and not self._is_right(tokens):
            self.redirect(login.login_address(self._target(), wrong="1"))
            return
        if not is_known:
            login.let_in(self)
        self._go_on(
            "" if all(map(login.is_token, tokens)) else "token="
        )  # the page reports that the address contained another token

    def _is_right(self, tokens: list[str]) -> bool:
        with contextlib.suppress(TooManyTries):
            return any(map(login_of(self).check, tokens))
        return False

    def _go_on(self, instead: str = "") -> None:
        self.redirect(self._target(instead))

    def _target(self, instead: str = "") -> str:
        """Return the address without tokens: the page with the rest of the query, or the form's `next`."""
        login = login_of(self)
        if self.request.path != login.base_url:
            return login.next_of(self.get_query_argument("next", ""))
        query = without_tokens(self.request.query, instead)
        return login.base_url + (f"?{query}" if query else "")


class LoginHandler(PlainHandler):
    """The form."""

    is_public = True

    def initialize(self) -> None:
        self._body = b""

    def data_received(self, chunk: bytes) -> None:
        self._body += chunk[: _LONGEST_FORM + 1 - len(self._body)]

    def get(self) -> None:
        self._next = login_of(self).next_of(self.get_query_argument("next", ""))
        if visitor_of(self) is not None:
            self.redirect(self._next)
        else:
            self._ask(200, "wrong" if self.get_query_argument("wrong", "") else "")

    def head(self) -> None:
        self.get()

    def post(self) -> None:
        login = login_of(self)
        if len(self._body) > _LONGEST_FORM:
            raise tornado.web.HTTPError(413)
        form = _read_form(self._body)
        self._next = login.next_of(form.get("next", ""))
        try:
            is_right = visitor_of(self) is not None or login.check(form.get("token", ""))
        except TooManyTries as tries:
            self.set_header("Retry-After", str(tries.seconds))
            self._ask(429, "wait", seconds=tries.seconds)
            return
        if not is_right:
            self._ask(403, "wrong")
            return
        if visitor_of(self) is None:
            login.let_in(self)
        self.redirect(self._next, status=303)

    def _ask(self, status: int, problem: str, **facts: Any) -> None:
        wait = login_of(self).backoff.wait()
        if problem == "wrong" and status == 200 and wait:  # the token in the address was not checked
            problem, facts = "wait", {"seconds": math.ceil(wait)}
        show(self, status, "login", form="login", next=self._next, problem=problem, **facts)


class LogoutHandler(PlainHandler):
    """Logs out and ends the visitor's pages. A GET from another page than ours is asked to confirm first."""

    is_public = True

    async def get(self) -> None:
        if self.request.headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
            await self.post()
        else:
            show(self, 200, "logout", form="logout")

    async def post(self) -> None:
        visitor = visitor_of(self)
        if visitor is not None and login_of(self).is_needed:
            login_of(self).let_out(self)
            await self.settings["kernel_manager"].end_of(visitor)
        show(self, 200, "logged_out", retry=login_of(self).base_url, again="login_title")


def _read_form(body: bytes) -> dict[str, str]:
    """Read an `application/x-www-form-urlencoded` form. The last field of a name is used."""
    pairs = (part.partition("=") for part in body.decode("ascii", "replace").split("&"))
    return {unquote_plus(key): unquote_plus(value) for key, _, value in pairs}
