"""Authorises a visitor's browser for a session: a single-use ticket, then a signed cookie.

Both are bound to one session. The cookie is signed with the session's key, which is derived from the Qarnot token, so
that it stays valid when the server restarts and is worth nothing for another session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

COOKIE = "run-qarnot-visit"
TICKET_SECONDS = 60.0
_VISIT_SECONDS = 7 * 24 * 3600  # longer than a session lasts
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True)
class Ticket:
    """Admits a browser to `path` of a session, once."""

    session_id: str
    path: str  # below the session's address, without a slash in front
    origin: str  # of the page that the visitor sees, such as `https://hub.example.org`
    ends: float  # monotonic


class Tickets:
    """Tickets that were issued and not used yet, in memory."""

    def __init__(self) -> None:
        self._tickets: dict[str, Ticket] = {}

    def give(self, session_id: str, path: str, origin: str) -> str:
        """Return a new ticket, valid for a minute.

        Raises:
            ValueError: `origin` is not an origin, or `path` is outside the session.
        """
        if not _ORIGIN.fullmatch(origin) or path.startswith(("/", "\\")) or not (path.isascii() and path.isprintable()):
            raise ValueError("this leads nowhere")
        now = time.monotonic()
        self._tickets = {name: ticket for name, ticket in self._tickets.items() if ticket.ends > now}
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = Ticket(session_id, path, origin, now + TICKET_SECONDS)
        return ticket

    def use(self, ticket: str, session_id: str) -> Ticket | None:
        """Redeem a ticket; return None if it was used, has expired or is for another session."""
        found = self._tickets.pop(ticket, None)
        if found is None or found.session_id != session_id or found.ends < time.monotonic():
            return None
        return found


def sign_visit(key: str, session_id: str, origin: str) -> str:
    """Return the value of the cookie.

    Arguments:
        key: of the session.
        session_id: `rq-<12 hex>`.
        origin: of the page that the visitor sees; only pages of this origin may send requests.
    """
    ends = int(time.time()) + _VISIT_SECONDS
    where = base64.urlsafe_b64encode(origin.encode()).decode().rstrip("=")
    text = f"{ends}.{secrets.token_hex(8)}.{where}"
    return f"{text}.{_sign(key, session_id, text)}"


def read_visit(key: str, session_id: str, cookie: str) -> str | None:
    """Return the origin in a cookie's value; None if it is not ours, not of this session, or too old."""
    text, _, signature = cookie.rpartition(".")
    if not cookie.isascii() or not hmac.compare_digest(_sign(key, session_id, text).encode(), signature.encode()):
        return None
    ends, _nonce, where = text.split(".")
    if int(ends) < time.time():
        return None
    return base64.urlsafe_b64decode(where + "=" * (-len(where) % 4)).decode()


def _sign(key: str, session_id: str, text: str) -> str:
    return hmac.new(key.encode(), f"visit {session_id} {text}".encode(), hashlib.sha256).hexdigest()
