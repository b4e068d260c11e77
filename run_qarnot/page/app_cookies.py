"""The cookies of a session's app: kept below the session's address, and apart from those of the dashboard.

A browser sends a session every cookie whose path fits, also the dashboard's login. It does not say where a cookie
comes from. So only cookies whose name and value this session has set itself are passed on to it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from run_qarnot.page.visits import COOKIE

_MOST_REMEMBERED = 1000


class AppCookies:
    """The cookies that one app has set, in memory, as hashes."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def to_visitor(self, set_cookie: str, path: str) -> str | None:
        """Return a `Set-Cookie` header for the visitor's browser; None if the app may not set this cookie.

        Arguments:
            set_cookie: of the app.
            path: of the session on this server; the cookie is for nothing else.
        """
        pair, *attributes = (part.strip() for part in set_cookie.split(";"))
        name, is_pair, value = pair.partition("=")
        if not is_pair or name.strip() in ("", COOKIE):
            return None
        self._remember(name.strip(), value.strip())
        kept = [each for each in attributes if each.partition("=")[0].strip().lower() not in ("path", "domain")]
        return "; ".join([pair, *kept, f"Path={path}"])

    def to_app(self, cookies: str) -> str:
        """Return the app's part of a `Cookie` header. Of one name it is the first, which has the longest path."""
        passed: dict[str, str] = {}
        for pair in cookies.split(";"):
            name, is_pair, value = (part.strip() for part in pair.partition("="))
            if is_pair and name not in passed and _digest(name, value) in self._known:
                passed[name] = f"{name}={value}"
        return "; ".join(passed.values())

    def _remember(self, name: str, value: str) -> None:
        digest = _digest(name, value)
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)


def _digest(name: str, value: str) -> bytes:
    return hashlib.sha256(f"{name}={value}".encode()).digest()
