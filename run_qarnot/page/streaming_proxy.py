"""A Tornado handler that forwards requests to another HTTP server and streams both ways.

It knows nothing of Jupyter, Voila or sessions. Subclasses authenticate in `prepare`, then await `forward`:

    class Route(StreamingProxyHandler, JupyterHandler):
        async def prepare(self) -> None:
            await super().prepare()  # JupyterHandler's authentication
            if not self._finished:
                await self.forward(Path("/run/server.sock"))

Bodies have no size limit and are never held in memory, except answers for which `make_body_rewriter` asks. Each side
is read only as fast as the other side takes it. WebSockets, and whatever else an `Upgrade` may negotiate, are copied
as bytes once the target has answered 101, so that subprotocols, extensions and large messages pass unchanged.

Each request uses one connection to the target. When one side closes early, so does the other. If `forward` gets a pool
of idle connections, requests without a body reuse them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from tornado import httputil
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from run_qarnot.page.kept_connections import KeptConnections
from run_qarnot.page.proxy_headers import can_be_repeated, closes, read_framing, remove_hop_by_hop, wanted_upgrade
from run_qarnot.page.target_connection import UNLIMITED, Address, TargetConnection, connect, splice

BodyRewriter = Callable[[bytes], bytes]
SendHead = Callable[[], Awaitable["TargetConnection | None"]]

MAX_REWRITTEN_BYTES = 8 * 1024 * 1024
_RETRY_SECONDS = 2
_MAX_DISCARDED_BYTES = 64 * 1024 * 1024
_NO_CONTENT, _NOT_MODIFIED, _SWITCHING_PROTOCOLS = 204, 304, 101


@stream_request_body
class StreamingProxyHandler(RequestHandler):
    """Base class of handlers that forward requests. The module's docstring shows its use."""

    _tasks: ClassVar[set[asyncio.Task[None]]] = set()  # the event loop holds only weak references
    _target: TargetConnection | None = None
    _relaying: asyncio.Task[None] | None = None
    _kept: KeptConnections | None = None
    _discarded_bytes = 0

    # hooks

    def rewrite_request(self, headers: HTTPHeaders) -> str:
        """Change the request's head.

        Arguments:
            headers: of the visitor, without hop-by-hop headers; changed in place.

        Returns: path and query to ask the target for.
        """
        return self.request.uri or "/"

    def rewrite_response(self, status: int, headers: HTTPHeaders) -> None:
        """Change the head of an answer, also of a 101.

        Arguments:
            status: of the answer.
            headers: of the target, without hop-by-hop headers; changed in place.
        """

    def make_body_rewriter(self, status: int, headers: HTTPHeaders) -> BodyRewriter | None:
        """Return a function that changes an answer's body, or None to stream the body unchanged.

        The function gets the whole body as the target sent it (perhaps compressed). It may change `headers`: they are
        sent afterwards. Bodies longer than `MAX_REWRITTEN_BYTES` are streamed unchanged all the same.

        Arguments:
            status: of the answer.
            headers: as `rewrite_response` left them.
        """
        return None

    async def answer_unreachable(self) -> None:
        """Answer a request to which the target gave no answer."""
        headers = HTTPHeaders({"Content-Type": "text/plain; charset=utf-8", "Retry-After": str(_RETRY_SECONDS)})
        await self.answer(502, headers, b"The server behind this address does not answer. Try again in a moment.\n")

    def on_forward_end(self) -> None:
        """Called once for each `forward`, when neither side sends any more."""

    # for subclasses to call

    async def forward(self, address: Address, kept: KeptConnections | None = None) -> None:
        """Forward the request. Await this at the end of `prepare`.

        Arguments:
            address: an IP address and port, or the path of a Unix socket.
            kept: idle connections to this address. One of them is used if the request has no body, and so can be sent
                again when the target has closed it meanwhile. Afterwards the connection is returned there.

        Raises:
            HTTPError: 400, when the request gives its length in two ways or its path is not ASCII.
        """
        try:
            upgrade = wanted_upgrade(self.request)
            self._kept = kept if can_be_repeated(self.request) and not upgrade else None
            head = self._request_head(upgrade)
            self._target = await self._send_head(address, *head)
        except BaseException:  # re-raised (including cancellation): the caller counts forwards by this call
            self.on_forward_end()
            raise
        if self._target is None:
            self.on_forward_end()
            await self.answer_unreachable()
            return
        await self._confirm_expectation()
        again = partial(self._send_head, address, *head)
        self._relaying = task = asyncio.create_task(self._relay(self._target, again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self.on_forward_end())
        if upgrade:
            # Tornado allows `detach` only before `prepare` ends.
            await self._target.head_arrived.wait()

    async def answer(self, status: int, headers: HTTPHeaders, body: bytes) -> None:
        """Send an answer of our own. In `prepare`, use this and not `finish`.

        The request's body is then read and discarded, up to a limit: browsers and proxies show an answer only if they
        could send the whole request.
        """
        self._connection.set_max_body_size(UNLIMITED)
        headers["Content-Length"] = str(len(body))
        self._set_head(status, "", headers)
        with contextlib.suppress(StreamClosedError):
            self.write(body)
            await self.flush()
            if "Expect" in self.request.headers:  # the visitor waits before sending the body, and now sends none
                self.finish()

    # called by Tornado

    async def data_received(self, chunk: bytes) -> None:
        """Forward a chunk of the request's body. Tornado reads the next one when it has been sent."""
        if self._target is not None:
            with contextlib.suppress(StreamClosedError):
                await self._target.write(chunk)
            return
        self._discarded_bytes += len(chunk)
        if self._discarded_bytes > _MAX_DISCARDED_BYTES:
            self._break_off()

    async def _complete(self, *_args: str, **_kwargs: str) -> None:
        """The whole request has been read: wait for the end of the answer."""
        if self._target is not None:
            self._target.finish_request()
        if self._relaying is not None:
            await self._relaying
        if not self._finished:
            self.finish()

    get = head = post = put = patch = delete = options = _complete

    def on_connection_close(self) -> None:
        """The visitor has closed the connection."""
        self._close_target()
        super().on_connection_close()

    # internals

    def _request_head(self, upgrade: str) -> tuple[RequestStartLine, HTTPHeaders]:
        """Return the head of the request for the target."""
        headers = HTTPHeaders(self.request.headers)
        method = self.request.method or "GET"
        try:
            framing = read_framing(headers)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        if not framing and method in ("POST", "PUT", "PATCH"):
            framing = {"Content-Length": "0"}
        remove_hop_by_hop(headers)
        for name in ("Content-Length", "Expect"):
            headers.pop(name, None)
        path = self.rewrite_request(headers)
        if not path.isascii():
            raise HTTPError(400, "a path must be ASCII")
        headers.update(framing)
        headers["Connection"] = "Upgrade" if upgrade else "keep-alive" if self._kept is not None else "close"
        if upgrade:
            headers["Upgrade"] = upgrade
        return RequestStartLine(method, path, "HTTP/1.1"), headers

    async def _send_head(
        self, address: Address, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> TargetConnection | None:
        """Send the request's head, over an idle connection or a new one; None if the target cannot be reached."""
        self._connection.set_max_body_size(UNLIMITED)
        try:
            while stream := self._kept.take() if self._kept is not None else None:
                with contextlib.suppress(StreamClosedError):
                    return await self._send_over(TargetConnection(stream, is_used=True), start_line, headers)
            return await self._send_over(TargetConnection(await connect(address)), start_line, headers)
        except (OSError, StreamClosedError, TimeoutError):
            return None

    async def _send_over(
        self, target: TargetConnection, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> TargetConnection:
        await target.write_headers(start_line, headers)
        if self._kept is not None:  # there is no body
            target.finish_request()
        return target

    async def _confirm_expectation(self) -> None:
        """Send `100 Continue` in Tornado's place, which could send it after the answer has begun."""
        if self.request.headers.pop("Expect", "").lower() == "100-continue":
            with contextlib.suppress(StreamClosedError):
                await self._connection.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _relay(self, target: TargetConnection, send_again: SendHead) -> None:
        """Relay the target's answer; after a 101, copy bytes both ways until one side closes.

        Arguments:
            target: to which the request was sent.
            send_again: sends it over another connection.
        """
        answer = await self._read_answer(target)
        while answer.is_missing and target.is_used and self._target is target:  # it had closed the connection
            target.close()
            if (other := await send_again()) is None:
                break
            self._target = target = other
            answer = await self._read_answer(target)
        if answer.spliced is not None:
            await splice(*answer.spliced)
            return
        if answer.leaves_connection and self._kept is not None and self._target is target:
            self._target = None
            self._kept.keep(target.detach())
        self._close_target()
        if self._connection.stream.closed():
            return
        if answer.is_complete:
            await answer.send_rewritten()
        elif self._headers_written:
            self._break_off()
        else:
            await self.answer_unreachable()

    async def _read_answer(self, target: TargetConnection) -> _Answer:
        answer = _Answer(self, target)
        try:
            await target.read_response(answer)
        except (StreamClosedError, UnsatisfiableReadError):
            pass  # no response, or headers that are too long
        finally:
            target.head_arrived.set()
        return answer

    def _set_head(self, status: int, reason: str, headers: HTTPHeaders) -> None:
        """Set exactly this head: none of the application's default headers, and no compression of its own."""
        self._transforms = []
        self.clear()
        self.set_status(status, reason or None)
        self._headers = headers

    def _break_off(self) -> None:
        """Close the visitor's connection, so that a partial answer does not look complete."""
        self._finished = True
        self._close_target()
        self._connection.stream.close()

    def _close_target(self) -> None:
        target, self._target = self._target, None
        if target is not None:
            target.close()

    @property
    def _connection(self) -> HTTP1Connection:
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        return connection


class _Answer(httputil.HTTPMessageDelegate):
    """Receives the target's answer and sends it to the visitor piece by piece."""

    def __init__(self, handler: StreamingProxyHandler, target: TargetConnection) -> None:
        self.is_complete = False
        self.is_missing = True  # no head has arrived
        self.leaves_connection = False  # open, and ready for another request
        self.spliced: tuple[IOStream, IOStream] | None = None
        self._handler = handler
        self._target = target
        self._head = (0, "", HTTPHeaders())
        self._rewriter: BodyRewriter | None = None
        self._ends_with_connection = False
        self._may_be_kept = False
        self._buffer = bytearray()

    async def headers_received(self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders) -> None:
        assert isinstance(start_line, ResponseStartLine)
        self.is_missing = False
        headers = HTTPHeaders(headers)  # Tornado reads the body by the original ones
        if start_line.code == _SWITCHING_PROTOCOLS:
            self._switch_protocols(start_line, headers)
        elif start_line.code >= 200:  # 1xx: the final response follows
            await self._begin(start_line, headers)
            self._target.head_arrived.set()

    async def data_received(self, chunk: bytes) -> None:
        if self._rewriter is None:
            await self._send(chunk)
            return
        self._buffer += chunk
        if len(self._buffer) > MAX_REWRITTEN_BYTES:
            self._rewriter = None
            await self._send(bytes(self._buffer))
            self._buffer.clear()

    def finish(self) -> None:
        was_reset = self._target.stream.error is not None
        self.is_complete = not (self._ends_with_connection and was_reset)
        self.leaves_connection = self._may_be_kept and self._target.has_request
        if not self.leaves_connection:
            self._target.close()  # the request may be incomplete; Tornado would wait for the rest

    async def send_rewritten(self) -> None:
        """Send the body that was held back, if one was."""
        if self._rewriter is None:
            return
        headers = self._head[2]
        body = self._rewriter(bytes(self._buffer))
        headers["Content-Length"] = str(len(body))
        await self._send(body)

    async def _begin(self, start_line: ResponseStartLine, headers: HTTPHeaders) -> None:
        status = start_line.code
        try:
            framing = read_framing(headers)
        except ValueError:
            self._target.close()
            return
        self._may_be_kept = start_line.version == "HTTP/1.1" and not closes(headers)
        remove_hop_by_hop(headers)
        headers.update({name: value for name, value in framing.items() if name == "Content-Length"})
        self._ends_with_connection = not framing
        self._may_be_kept &= bool(framing) or status in (_NO_CONTENT, _NOT_MODIFIED)
        self._handler.rewrite_response(status, headers)
        rewriter = self._handler.make_body_rewriter(status, headers)
        has_body = self._handler.request.method != "HEAD" and status not in (_NO_CONTENT, _NOT_MODIFIED)
        if status == _NO_CONTENT or (rewriter and not has_body):  # not the length that the body has for the visitor
            headers.pop("Content-Length", None)
        self._head = (status, start_line.reason, headers)
        self._rewriter = rewriter if has_body else None
        if self._rewriter is None:
            await self._send(b"")

    async def _send(self, chunk: bytes) -> None:
        try:
            if not self._handler._headers_written:
                self._handler._set_head(*self._head)
            if chunk:
                self._handler.write(chunk)
            await self._handler.flush()
        except StreamClosedError:
            self._target.close()

    def _switch_protocols(self, start_line: ResponseStartLine, headers: HTTPHeaders) -> None:
        """Send the 101, and take both connections from Tornado."""
        handler = self._handler
        if not wanted_upgrade(handler.request):
            self._target.close()
            return
        upgrade = headers.get("Upgrade", "")
        remove_hop_by_hop(headers)
        headers["Connection"], headers["Upgrade"] = "Upgrade", upgrade
        handler.rewrite_response(start_line.code, headers)
        connection = handler._connection
        connection.write_headers(start_line, headers)
        self.spliced = handler.detach(), self._target.detach()
        self._target.head_arrived.set()
