"""Small pages of the server itself."""

from __future__ import annotations

import json
from typing import Any

import tornado.testing
import tornado.web

from run_qarnot.page import plain


class Broken(plain.PlainHandler):
    """Fails with what its address says."""

    def get(self) -> None:
        if status := self.get_argument("status", ""):
            raise tornado.web.HTTPError(int(status))
        raise ZeroDivisionError("details of ours")


class TestPlainPages(tornado.testing.AsyncHTTPTestCase):
    """A server with such pages alone."""

    def get_app(self) -> tornado.web.Application:
        return tornado.web.Application(
            [("/gone", plain.SayHandler, {"status": 404, "name": "missing"}), ("/broken", Broken)],
            base_url="/", headers={"X-Of-All": "yes"}, log_function=lambda _: None,
        )  # fmt: skip

    def ask(self, path: str, **named: Any) -> tuple[int, str]:
        self.answer = self.fetch(path, raise_error=False, **named)
        return self.answer.code, self.answer.body.decode()

    def test_a_page_answers_any_method_and_runs_no_script(self) -> None:
        status, body = self.ask("/gone")
        assert status == 404
        assert "<h1>" in body
        assert "<script" not in body
        assert "default-src 'none'" in self.answer.headers["Content-Security-Policy"]
        assert self.answer.headers["Cache-Control"] == "no-store"
        assert self.answer.headers["X-Of-All"] == "yes"
        assert self.ask("/gone", method="POST", body=json.dumps({}))[0] == 404

    def test_it_is_in_the_visitors_language(self) -> None:
        assert 'lang="fr"' in self.ask("/gone", headers={"Accept-Language": "fr-CA,fr"})[1]
        assert 'lang="en"' in self.ask("/gone", headers={"Accept-Language": "xx"})[1]

    def test_errors_are_a_sentence_without_details(self) -> None:
        with tornado.testing.ExpectLog("tornado.application", "Uncaught exception", required=True):
            status, body = self.ask("/broken")
        assert status == 500
        assert "details of ours" not in body
        assert "ZeroDivisionError" not in body
        for status in (403, 405, 413, 418):
            assert self.ask(f"/broken?status={status}")[0] == status
