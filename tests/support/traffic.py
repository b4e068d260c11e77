"""Everything that a browser receives, to look for what it must not, and where it asks."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, WebSocket

# Counts in `window.sent` what the page sends over websockets: bytes, or characters of text.
COUNT_SENT = """
window.sent = 0
const send = WebSocket.prototype.send
WebSocket.prototype.send = function (data) {
  window.sent += data.byteLength || data.length || 0
  return send.call(this, data)
}
"""


class Traffic:
    """Records the bodies of answers and the frames of websockets of all pages of a context."""

    def __init__(self, context: BrowserContext) -> None:
        self.hosts: set[str] = set()
        self._responses: list[Any] = []  # that were not looked into yet: each look costs
        self._read: list[bytes] = []
        self._frames: list[bytes] = []
        context.on("response", lambda response: self._responses.append(response))
        context.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        context.on("page", self._watch)
        for page in context.pages:
            self._watch(page)

    def holds(self, secret: str) -> bool:
        """Whether a secret was received."""
        return any(secret.encode() in body for body in (*self._frames, *self._bodies()))

    @property
    def frames(self) -> int:
        return len(self._frames)

    def _watch(self, page: Page) -> None:
        page.on("websocket", self._open)

    def _open(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self._frames.append(_as_bytes(frame)))

    def _bodies(self) -> list[bytes]:
        while self._responses:
            with contextlib.suppress(Exception):  # redirects, downloads and pages that are gone have none
                self._read.append(self._responses.pop().body())
        return self._read


def _as_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame
