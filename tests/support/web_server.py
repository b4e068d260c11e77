"""A web server of this machine that gives out files, also as servers do that break off, redirect or hide the size."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebServer:
    """What the server gives out, and what it was asked; may be changed at any time.

    Arguments:
        files: content by path, without a slash in front.
        breaks: after so many bytes of an answer the connection breaks, that many times: the list is used up.
        ranges: it sends pieces of a file.
        says_size: otherwise answers end with the connection.
        redirects: target by path.
        statuses: of answers without content, by path.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    says_size: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, and the range that was wanted

    def url(self, path: str) -> str:
        return f"{self.address}{path}"


@contextlib.contextmanager
def web_server(**settings: object) -> Iterator[WebServer]:
    """Run a server for the block, at an address of this machine."""
    state = WebServer(**settings)  # type: ignore[arg-type]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, wanted = self.path.lstrip("/").partition("?")[0], self.headers.get("Range", "")
            state.asked.append((path, wanted))
            if path in state.redirects or path in state.statuses or path not in state.files:
                self.send_response(302 if path in state.redirects else state.statuses.get(path, 404))
                if path in state.redirects:
                    self.send_header("Location", state.redirects[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(state.files[path], re.fullmatch(r"bytes=(\d+)-(\d*)", wanted))

        def _send(self, content: bytes, wanted: re.Match[str] | None) -> None:
            total, start = len(content), 0
            if wanted and state.ranges:
                start = int(wanted[1])
                if start >= total:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{total}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content = content[start : int(wanted[2]) + 1 if wanted[2] else total]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{total}")
            else:
                self.send_response(200)
            # Decided before the head is sent: who asked may change it from then on. One byte alone does not break.
            is_cut = len(content) > 1 and state.breaks and len(content) > state.breaks[0]
            cut = state.breaks.pop(0) if is_cut else len(content)
            self.send_header("ETag", f'"{hash(content) if not wanted else total}"')
            if state.says_size:
                self.send_header("Content-Length", str(len(content)))
            else:
                self.close_connection = True
                self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content[:cut])
                if cut < len(content):
                    self.close_connection = True
                    self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
