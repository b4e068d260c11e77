"""Static pages of the server, without a kernel and without scripts: login, refusals, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tornado.template
import tornado.web

from run_qarnot.core import language
from run_qarnot.page import words

_TEMPLATE = tornado.template.Template((Path(__file__).parent / "plain.html").read_text(encoding="utf-8"))
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_WORDS_OF_STATUS = {403: "refused", 404: "missing", 405: "refused", 413: "refused"}


def show(
    handler: tornado.web.RequestHandler, status: int, name: str, *, retry: str = "", again: str = "again", **parts: Any
) -> None:
    """Answer with a page in the visitor's language.

    Arguments:
        status: of the answer.
        name: of its texts: `<name>_title` and `<name>`.
        retry: the address of a button; empty for none.
        again: the name of the button's text.
        parts: further values of the template (`form`, `next`, `problem`) and facts of the sentences.
    """
    spoken = language.preferred(handler.request.headers.get("Accept-Language", ""))
    texts = words.section("plain", spoken)
    shown: dict[str, Any] = {"form": "", "next": "", "again": again, "base_url": handler.settings["base_url"], **parts}
    shown["problem"] = texts[parts["problem"]].format(**parts) if parts.get("problem") else ""
    handler.set_status(status)
    handler.set_header("Content-Type", "text/html; charset=utf-8")
    handler.set_header("Content-Security-Policy", _POLICY)
    handler.set_header("Cache-Control", "no-store")
    title, sentence = texts[f"{name}_title"], texts[name].format(**parts)
    handler.finish(_TEMPLATE.generate(spoken=spoken, words=texts, title=title, sentence=sentence, retry=retry, **shown))


def show_error(handler: tornado.web.RequestHandler, status: int) -> None:
    """Answer with a sentence for an HTTP status."""
    show(handler, status, _WORDS_OF_STATUS.get(status, "broken"))


@tornado.web.stream_request_body
class PlainHandler(tornado.web.RequestHandler):
    """Answers with a static page. The body of a request is dropped; subclasses with a form override `data_received`."""

    def set_default_headers(self) -> None:
        for name, value in self.settings.get("headers", {}).items():
            self.set_header(name, value)
        self.set_header("Cache-Control", "no-store")

    def data_received(self, chunk: bytes) -> None:
        """Drop it."""

    def write_error(self, status_code: int, **_: Any) -> None:
        show_error(self, status_code)


class SayHandler(PlainHandler):
    """Answers every request with the same page."""

    def initialize(self, status: int, name: str, **facts: Any) -> None:
        self._status, self._name, self._facts = status, name, facts

    def prepare(self) -> None:
        show(self, self._status, self._name, **self._facts)


class PlainErrors:
    """Mixin for handlers of Jupyter and Voila, whose error pages need files that this server does not have."""

    def write_error(self: Any, status_code: int, **_: Any) -> None:
        show_error(self, status_code)
