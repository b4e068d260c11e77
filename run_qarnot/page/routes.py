"""Every route of our server, and the checks that precede their handlers."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.services.kernels.handlers import KernelHandler
from tornado.httputil import HTTPServerRequest
from tornado.routing import Router
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from run_qarnot.page import download_route, session_proxy
from run_qarnot.page.login import Login, LoginHandler, LogoutHandler, TokenHandler, tokens_in, visitor_of
from run_qarnot.page.plain import PlainErrors, PlainHandler, SayHandler, show
from run_qarnot.page.policy import Policy, is_prefetch, wants_page
from run_qarnot.page.session_registry import SessionRegistry

Route = tuple[Any, ...]  # pattern, handler, and perhaps its arguments
_log = logging.getLogger(__name__)
NOT_FOUND = {"status": 404, "name": "missing"}
_RETRY_SECONDS = 30


def own_routes(base_url: str, downloads: Path, registry: SessionRegistry) -> list[Route]:
    """Return the routes that are not Voila's. They take precedence.

    Handlers need a login, which `Front` checks, unless they have `is_public = True`.
    """
    base = re.escape(base_url)
    return [
        (rf"{base}healthz", HealthHandler),
        (rf"{base}login", LoginHandler),
        (rf"{base}logout", LogoutHandler),
        download_route.route(base, downloads),
        session_proxy.route(base_url, registry),
    ]


def voila_routes(base_url: str, routes: list[Route]) -> list[Route]:
    """Return Voila's routes with some handlers replaced by ours, and without those that the page does not need."""
    changed = []
    for pattern, kind, *arguments in routes:
        if kind is RequestInfoSocketHandler:  # for notebooks that use `wait_for_request`; it checks no login
            continue
        path = "" if kind is TornadoVoilaHandler else pattern.removeprefix(base_url)
        changed.append((re.escape(base_url) + path, _OWN_HANDLERS.get(kind) or _with_plain_errors(kind), *arguments))
    return changed


def _with_plain_errors(kind: Any) -> Any:
    if not issubclass(kind, JupyterHandler) or issubclass(kind, APIHandler):
        return kind
    return type(kind.__name__, (PlainErrors, kind), {})


class Front(Router):
    """Checks host, origin and login of every request before its handler runs."""

    def __init__(self, app: tornado.web.Application, login: Login, policy: Policy) -> None:
        self._app = app
        self._login = login
        self._policy = policy

    def find_handler(self, request: HTTPServerRequest, **_: Any) -> Any:
        self._policy.read_proxy_headers(request)
        found = self._app.find_handler(request)
        instead = self._instead(request, found.handler_class)
        return self._app.get_handler_delegate(request, *instead) if instead else found

    def _instead(self, request: HTTPServerRequest, kind: type) -> tuple[type[PlainHandler], dict[str, Any]] | None:
        """Return the handler, with its arguments, that answers a request which fails a check; None if all pass."""
        policy, login, base_url = self._policy, self._login, self._login.base_url
        if policy.is_foreign_name(request):
            return SayHandler, {"status": 403, "name": "foreign_name", "host": request.host[:200]}
        if policy.is_foreign_page(request):
            if "Upgrade" in request.headers:  # the browser shows no answer, so the operator's log does
                origin = request.headers.get("Origin", "")[:200]
                _log.warning("A websocket of %s was refused. Is there a proxy? Then start with --trust-proxy.", origin)
            return SayHandler, {"status": 403, "name": "foreign_page"}
        if not request.path.startswith(base_url):
            if request.path in {"/", base_url[:-1]} and request.method in {"GET", "HEAD"}:
                return RedirectHandler, {"to": base_url + (f"?{request.query}" if request.query else "")}
            return SayHandler, dict(NOT_FOUND)
        is_page = request.path == base_url and request.method in {"GET", "HEAD"}
        if is_page and is_prefetch(request):  # it would cost a kernel
            return SayHandler, {"status": 503, "name": "refused"}
        if (is_page or (kind is LoginHandler and request.method == "GET")) and any(tokens_in(request.query)):
            return TokenHandler, {}
        if getattr(kind, "is_public", False) or login.visitor(request) is not None:
            return None
        if is_page or wants_page(request):
            return RedirectHandler, {"to": login.login_address(login.next_of(request.uri or ""))}
        return SayHandler, {"status": 403, "name": "login_needed"}


class RedirectHandler(PlainHandler):
    """Redirects temporarily."""

    def initialize(self, to: str) -> None:
        self._to = to

    def prepare(self) -> None:
        self.redirect(self._to)


class HealthHandler(PlainHandler):
    """For monitoring: answers without login and without a kernel."""

    is_public = True

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok\n")

    def head(self) -> None:
        self.get()


class PageHandler(PlainErrors, TornadoVoilaHandler):  # type: ignore[misc,unused-ignore]
    """The page, rendered by a kernel of its own, up to `max_visitors` of them."""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        kernels: Any = self.kernel_manager  # a `VisitorKernels`, to which Voila adds its pool
        is_preheated = kernels.get_pool_size(self.notebook_path) > 0
        with kernels.visit(self.settings["max_visitors"], preheated=is_preheated) as has_place:
            if has_place:
                await super().get(path)
            else:
                self.set_header("Retry-After", f"{_RETRY_SECONDS}")
                show(self, 503, "full", retry=self.request.uri or "")

    @tornado.web.authenticated
    def head(self, path: str | None = None) -> None:
        """For monitoring: starts no kernel."""


class _OfVisitor:
    """For handlers of one kernel: 403 for all visitors but its owner."""

    async def prepare(self: Any, *arguments: Any, **options: Any) -> None:
        await super().prepare(*arguments, **options)  # type: ignore[misc]
        kernel_id = self.path_args[0] if self.path_args else self.path_kwargs["kernel_id"]
        if not self._finished and not self.kernel_manager.belongs_to(kernel_id, visitor_of(self)):
            raise tornado.web.HTTPError(403)


class KernelChannels(_OfVisitor, PlainErrors, VoilaKernelWebsocketHandler):  # type: ignore[misc,unused-ignore]
    """The websocket of a page."""


class KernelInfo(_OfVisitor, KernelHandler):  # type: ignore[misc,unused-ignore]
    """Whether the kernel of a page exists."""


class KernelEnd(_OfVisitor, VoilaShutdownKernelHandler):  # type: ignore[misc,unused-ignore]
    """Ends the kernel when the browser closes its page."""


_OWN_HANDLERS: dict[Any, Any] = {
    TornadoVoilaHandler: PageHandler,
    VoilaKernelWebsocketHandler: KernelChannels,
    KernelHandler: KernelInfo,
    VoilaShutdownKernelHandler: KernelEnd,
}
