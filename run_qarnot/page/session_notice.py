"""Error pages in place of a session's app: HTML for people, a line of text for programs. Without secrets."""

from __future__ import annotations

from pathlib import Path

import tornado.template
from tornado.httputil import HTTPHeaders, HTTPServerRequest

from run_qarnot.core import language
from run_qarnot.page import words

RETRY_SECONDS = 3
_TEMPLATE = tornado.template.Template((Path(__file__).parent / "session_notice.html").read_text(encoding="utf-8"))
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
_STATUS = {"away": 503, "unknown": 503, "ended": 410, "closed": 403, "foreign": 403}
_RETRIED = {"away", "unknown"}  # temporary


def notice(name: str, request: HTTPServerRequest, dashboard: str) -> tuple[int, HTTPHeaders, bytes]:
    """Return status, headers and body of an answer.

    Arguments:
        name: of a title and a sentence among the words of "proxy".
        request: of the visitor; its language is used.
        dashboard: its path.
    """
    spoken = language.preferred(request.headers.get("Accept-Language", ""))
    texts = words.section("proxy", spoken)
    headers = HTTPHeaders({"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
    retry = RETRY_SECONDS if name in _RETRIED else 0
    if retry:
        headers["Retry-After"] = str(retry)
    title, sentence = texts[f"{name}_title"], texts[name]
    if not _wants_page(request):
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return _STATUS[name], headers, f"{title}. {sentence}\n".encode()
    headers["Content-Type"] = "text/html; charset=utf-8"
    headers["Content-Security-Policy"] = _POLICY
    headers["Referrer-Policy"] = "no-referrer"
    button = texts["dashboard"]
    page = _TEMPLATE.generate(
        spoken=spoken, title=title, sentence=sentence, dashboard=dashboard, button=button, retry=retry
    )
    return _STATUS[name], headers, page


def _wants_page(request: HTTPServerRequest) -> bool:
    mode = request.headers.get("Sec-Fetch-Mode")
    if request.method not in ("GET", "HEAD") or "Upgrade" in request.headers:
        return False
    return mode == "navigate" if mode else "text/html" in request.headers.get("Accept", "")
