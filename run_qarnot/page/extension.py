"""The page as an extension of another Jupyter Server, such as that of a JupyterHub user or of Binder.

One route, `…/run-qarnot/`, forwards everything to our own server, which the first request starts. Nothing else of that
server changes. Requests need its login and authorisation, and requests that other sites send are refused (CSRF).
"""

from __future__ import annotations

import html
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import tornado.ioloop
import tornado.web
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async, url_path_join
from tornado.httputil import HTTPHeaders

from run_qarnot.page import words, words_fr
from run_qarnot.page.background_server import BackgroundServer
from run_qarnot.page.proxy_headers import add_forwarded_headers
from run_qarnot.page.streaming_proxy import StreamingProxyHandler

ROUTE = "run-qarnot"
_HERE = Path(__file__).parent
_NOTE_MILLISECONDS = 60_000
_OTHER_SITES = {"cross-site", "same-site"}  # another port of this machine is the "same" site
_NOT_FOR_US = re.compile(r"(jupyterhub-|__Host-)")  # cookies of the hub's login


def load(server: Any) -> None:
    """Add the route to a Jupyter server."""
    base_url = url_path_join(server.web_app.settings["base_url"], ROUTE, "/")
    parts = {"background": BackgroundServer(base_url), "activity": Activity(server.web_app.settings)}
    handlers = [(re.escape(base_url.rstrip("/")), AddSlash), (re.escape(base_url) + ".*", Route, parts)]
    server.web_app.add_handlers(".*$", handlers)


def launcher_entry() -> dict[str, Any]:
    """Return the tile in JupyterLab's launcher, for jupyter-server-proxy (`jupyter_serverproxy_servers`).

    The tile opens our route. The proxy's own route, under this entry point's name, has no server: it would hold answers
    in memory and cut long messages (`reference/anywhere.md` §3).
    """
    is_session = "TASK_PATH" in os.environ  # on a machine of Qarnot, whose JupyterLab was started by the page
    icon = str(_HERE / "icon.svg")
    tile = {"title": "Run Qarnot", "path_info": f"{ROUTE}/", "icon_path": icon, "category": "Notebook"}
    return {"unix_socket": os.devnull, "launcher_entry": tile | {"enabled": not is_session}, "new_browser_tab": True}


class Activity:
    """Reports activity to the Jupyter server while a request is open, so that it does not end as idle with the page."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._times: dict[str, datetime] = settings.setdefault("last_activity_times", {})
        self._open = 0
        self._timer = tornado.ioloop.PeriodicCallback(self._note, _NOTE_MILLISECONDS)

    def begin(self) -> None:
        """Count a request that begins."""
        self._open += 1
        self._note()
        if not self._timer.is_running():
            self._timer.start()

    def end(self) -> None:
        """Count a request that was answered, or whose websocket was closed."""
        self._open -= 1
        self._note()
        if not self._open:
            self._timer.stop()

    def _note(self) -> None:
        self._times[ROUTE] = datetime.now(UTC)


class AddSlash(JupyterHandler):  # type: ignore[misc,unused-ignore]
    """Redirects from the route without its last slash, with the query."""

    @tornado.web.authenticated
    def get(self) -> None:
        query = self.request.query
        self.redirect(f"{self.request.path}/{'?' if query else ''}{query}")


class Route(StreamingProxyHandler, JupyterHandler):  # type: ignore[misc,unused-ignore]
    """Forwards authorised requests to the page's server."""

    _location: str | None = None

    def initialize(self, background: BackgroundServer, activity: Activity) -> None:
        self._background, self._activity = background, activity

    def check_xsrf_cookie(self) -> None:
        """Refuse requests of other sites, and of other users' pages, which have the same host in a hub.

        There is no XSRF token to compare. JupyterHub calls this, too, before it accepts its cookie as a login.

        Raises:
            HTTPError: 403.
        """
        if self._is_foreign() and not self._opens_page():
            raise tornado.web.HTTPError(403, reason="This came from a page of another site")
        if self._reads_page():
            raise tornado.web.HTTPError(403, reason="The page is only shown, and not given to scripts")

    async def prepare(self, *, _redirect_to_login: bool = True) -> None:
        """Authenticate, authorise and forward."""
        self.check_xsrf_cookie()
        await super().prepare()
        if self.current_user is None:
            if not self._opens_page():
                raise tornado.web.HTTPError(403)
            tornado.web.authenticated(lambda _: None)(self)  # calls `redirect`
        elif not await ensure_async(self.authorizer.is_authorized(self, self.current_user, "execute", "kernels")):
            raise tornado.web.HTTPError(403)
        elif self.token_authenticated and self.request.method == "GET" and "token" in self.request.arguments:
            self.redirect(_without_token(self.request.uri or ""))  # it has set a login cookie
        if self._location is not None:
            await self.answer(302, HTTPHeaders({"Location": self._location, "Cache-Control": "no-store"}), b"")
        elif self._background.is_ready:
            self._activity.begin()
            try:
                await self.forward(self._background.socket)
            except tornado.web.HTTPError:
                self._activity.end()
                raise
        else:
            await self._answer_status()

    def on_forward_end(self) -> None:
        self._activity.end()

    def rewrite_request(self, headers: HTTPHeaders) -> str:
        """Remove the credentials of this server."""
        add_forwarded_headers(self.request, headers)
        if self.token_authenticated:
            headers.pop("Authorization", None)
        if cookies := self._their_cookies(headers.pop("Cookie", "")):
            headers["Cookie"] = cookies
        return super().rewrite_request(headers)

    def rewrite_response(self, status: int, headers: HTTPHeaders) -> None:
        """Add this server's policy on frames: a hub's is stricter than ours."""
        if found := re.search(r"frame-ancestors[^;]*", self.content_security_policy):
            headers.add("Content-Security-Policy", found[0])

    async def answer_unreachable(self) -> None:
        """Answer while the page's server ends."""
        await self._answer_status()

    def redirect(self, url: str, permanent: bool = False, status: int | None = None) -> None:
        """Store the target, because answers in `prepare` must be sent by `answer`."""
        self._location = url

    def write_error(self, status_code: int, **_: Any) -> None:
        """Answer with a line of text: Jupyter's error pages need a login."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Connection", "close")  # Tornado closes it: the request's body is not read
        self.finish(f"{status_code} {self._reason}.\n")

    def _is_foreign(self) -> bool:
        """Whether a page of another site sent the request. Programs send neither header, websockets only `Origin`."""
        headers = self.request.headers
        if "Sec-Fetch-Site" in headers:
            return headers["Sec-Fetch-Site"] in _OTHER_SITES
        return "Origin" in headers and urlsplit(headers["Origin"]).netloc.lower() != self.request.host.lower()

    def _reads_page(self) -> bool:
        """Whether a script requests the page, which would start a kernel and reveal its id."""
        mode = self.request.headers.get("Sec-Fetch-Mode", "navigate")
        return self.request.method == "GET" and self.request.path == self._background.base_url and mode != "navigate"

    def _opens_page(self) -> bool:
        """Whether this is a top-level navigation, from whichever site."""
        headers = self.request.headers
        return (
            self.request.method == "GET"
            and headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
            and headers.get("Sec-Fetch-Dest", "document") == "document"
            and "Upgrade" not in headers
        )

    def _their_cookies(self, text: str) -> str:
        """Return the cookies without those of the login. Of two `_xsrf` the first has our path, the longer one."""
        kept: dict[str, str] = {}
        login = self.identity_provider.get_cookie_name(self)
        for cookie in filter(None, (part.strip() for part in text.split(";"))):
            name = cookie.partition("=")[0]
            if name != login and not _NOT_FOR_US.match(name):
                kept.setdefault(name, cookie)
        return "; ".join(kept.values())

    async def _answer_status(self) -> None:
        """Answer that the server is starting, or why it failed. Only a request for HTML, or HEAD, starts it."""
        failure = self._background.failure
        is_page = "text/html" in self.request.headers.get("Accept", "")
        if is_page:
            self._background.failure = None  # reported once; a reload tries again
        if failure is None and (is_page or self.request.method == "HEAD"):
            self._background.start()
        content = _starting() if failure is None else _failed(failure)
        body = Template((_HERE / "status.html").read_text(encoding="utf-8")).substitute(content=content)
        headers = HTTPHeaders({"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"})
        headers["Content-Security-Policy"] = self.content_security_policy
        headers["Referrer-Policy"] = "no-referrer"
        await self.answer(503 if failure is None else 500, headers, body.encode() if is_page else b"")


def _without_token(uri: str) -> str:
    """Return an address without the login token; the values of a link are not changed."""
    path, _, query = uri.partition("?")
    kept = [pair for pair in query.split("&") if unquote_plus(pair.partition("=")[0]) != "token"]
    return f"{path}?{'&'.join(kept)}" if any(kept) else path


_BONES = "".join(f'<div class="bone" style="height: {height}px"></div>' for height in (150, 260, 220))
# 503 means that it is starting; on any other status the page is loaded, or its error shown.
_RELOAD = """<script>
const ask = async () => {
  const answer = await fetch(location, { method: 'HEAD' }).catch(() => ({ status: 503 }))
  if (answer.status === 503) setTimeout(ask, 200)
  else location.reload()
}
setTimeout(ask, 200)
</script>
<noscript><meta http-equiv="refresh" content="1"></noscript>"""


def _starting() -> str:
    return (
        '<main role="status" data-testid="starting"><div class="title">Run Qarnot</div>'
        f"{_BONES}<div>{_in_both('starting')}</div></main>{_RELOAD}"
    )


def _failed(said: str) -> str:
    return (
        '<main class="failed" role="alert" data-testid="failed"><div class="title">Run Qarnot</div>'
        f"<p>{_in_both('failed')}</p><p class='said'>{html.escape(said)}</p><p>{_in_both('failed_todo')}</p>"
        f'<button type="button" onclick="location.reload()">{_in_both("again")}</button></main>'
    )


def _in_both(key: str) -> str:
    """Return a sentence in both languages; the browser shows one of them."""
    english, french = words.WORDS["extension"][key], words_fr.WORDS["extension"][key]
    return (
        f'<span class="in-en">{html.escape(english)}</span><span class="in-fr" lang="fr">{html.escape(french)}</span>'
    )
