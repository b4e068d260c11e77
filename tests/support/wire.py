"""The websocket of a page's kernel, spoken by hand: whatever a visitor could send, we send."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page
from websocket import WebSocket, WebSocketTimeoutException, create_connection

_SECONDS = 20


class Wire:
    """Connects as the page itself does: same kernel, same cookies."""

    def __init__(self, page: Page, base: str = "/") -> None:
        found = re.search(r'kernelId = "([\w-]+)"', page.content())
        assert found, "the page names no kernel"
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())
        address = f"ws://{urlsplit(page.url).netloc}{base}api/kernels/{found[1]}/channels"
        self._socket: WebSocket = create_connection(address, cookie=cookies, timeout=_SECONDS, suppress_origin=True)

    def close(self) -> None:
        self._socket.close()

    def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        """Send a message; return its id."""
        identity = uuid.uuid4().hex
        header = {"msg_id": identity, "msg_type": kind, "username": "", "session": "wire", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        self._socket.send(json.dumps(message))
        return identity

    def answers(self, kind: str, content: dict[str, Any], wanted: str, channel: str = "shell") -> list[Any]:
        """Send a message, then a question that is always answered; return what of kind `wanted` came before that."""
        identity = self.send(kind, content, channel)
        last = self.send("comm_info_request", {"target_name": "jupyter.widget"})
        found = []
        while True:
            message = self._receive()
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] == wanted and parent == identity:
                found.append(message["content"])
            if parent == last and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found

    def widgets(self) -> list[str]:
        """The ids of all widgets of the page."""
        question = {"target_name": "jupyter.widget"}
        return list(self.answers("comm_info_request", question, "comm_info_reply")[0]["comms"])

    def tell(self, widget: str, content: object) -> list[Any]:
        """Send a custom message to a widget, as the browser's half does; return what the widgets send because of it."""
        data = {"method": "custom", "content": content}
        return self.answers("comm_msg", {"comm_id": widget, "data": data}, "comm_msg")

    def _receive(self) -> Any:
        try:
            return json.loads(self._socket.recv())
        except WebSocketTimeoutException:
            raise AssertionError("the kernel says nothing") from None
