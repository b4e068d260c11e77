"""The proxy into sessions: who is let in, what the app gets to know, and what happens when the machine goes away.

A real OpenSSH server leads to a small app; JupyterLab in a real browser is in `tests/browser/test_page_proxy.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import stat
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from support.machine import APP_TOKEN, KEY, SESSION_ID, Machine, ProxyServer, machine, proxy_server
from support.proxied import serving
from support.servers import files_with
from support.waiting import until, wait_until
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler
from websocket import WebSocketBadStatusException, create_connection

from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.model.connections import Mount
from run_qarnot.page import registry_socket
from run_qarnot.page.registry_socket import RegistryError
from run_qarnot.page.session_registry import SessionRegistry

pytestmark = pytest.mark.slow

BASE_URL = "/sub/path/"
OUTER = f"{BASE_URL}{SESSION_ID}/"


@stream_request_body
class Show(RequestHandler):
    """Says what it was asked, and how much it was sent."""

    def prepare(self) -> None:
        self.size = 0

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def check_xsrf_cookie(self) -> None:
        pass

    def show(self) -> None:
        headers = {name.lower(): value for name, value in self.request.headers.get_all()}
        self.write({"method": self.request.method, "uri": self.request.uri, "headers": headers, "size": self.size})

    get = post = put = delete = show


class Page(RequestHandler):
    def get(self) -> None:
        self.set_cookie("_xsrf", "of-the-app", path=f"/{SESSION_ID}/")
        self.finish(f'<title>App</title><a href="/{SESSION_ID}/x">{APP_TOKEN}</a>')


class Away(RequestHandler):
    def get(self) -> None:
        self.redirect(f"/{SESSION_ID}/show?token={APP_TOKEN}")


class Echo(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


@pytest.fixture(scope="module")
def app() -> Iterator[int]:
    routes = [
        (rf"/(?:{SESSION_ID}/)?{path}", kind)
        for path, kind in (("", Page), ("show", Show), ("away", Away), ("echo", Echo))
    ]
    with serving(Application(routes), max_body_size=1 << 40) as port:
        yield port


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="rq-"))  # short: it holds a socket
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def ssh(folder: Path) -> Iterator[Machine]:
    with machine(folder / "machine") as running:
        yield running


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ProxyServer]:
    with proxy_server(folder, BASE_URL) as running:
        yield running


@pytest.fixture(scope="module")
def session(ssh: Machine, app: int, server: ProxyServer) -> ProxiedSession:
    return ssh.session(app)


class Visitor(requests.Session):
    """A browser, as far as it matters here: cookies, and the headers by which it says who asks."""

    def __init__(self, server: ProxyServer) -> None:
        super().__init__()
        self.trust_env = False
        self.server = server
        self.headers["Sec-Fetch-Site"] = "same-origin"

    def open(self, session: ProxiedSession, path: str = "show") -> requests.Response:
        """Press Open in the dashboard."""
        return self.get(self.server.address(session, path))

    def ask(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        return self.request(method, f"{self.server.origin}{OUTER}{path}", **options)

    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.cookies)


@pytest.fixture
def visitor(server: ProxyServer, session: ProxiedSession) -> Visitor:
    visitor = Visitor(server)
    assert visitor.open(session).status_code == 200
    return visitor


# who is let in


def test_a_ticket_opens_the_page_once_and_the_cookie_stays(server: ProxyServer, session: ProxiedSession) -> None:
    address = server.address(session, "show?x=1")
    visitor = Visitor(server)
    answer = visitor.get(address)
    assert answer.status_code == 200
    assert answer.url == f"{server.origin}{OUTER}show?x=1"
    assert answer.json()["uri"] == f"/{SESSION_ID}/show?x=1"
    (cookie,) = list(iter(visitor.cookies))
    assert (cookie.path, cookie.secure) == (OUTER, False)
    assert {"HttpOnly": None, "SameSite": "Strict"}.items() <= cookie._rest.items()  # type: ignore[attr-defined]
    assert visitor.ask("show").status_code == 200
    assert visitor.get(address).url == f"{server.origin}{OUTER}", "who goes back in the history is led on"
    other = Visitor(server).get(address)
    assert other.status_code == 403
    assert "Open it from the dashboard" in other.text


def test_a_ticket_of_a_page_with_tls_sets_a_secure_cookie(server: ProxyServer, session: ProxiedSession) -> None:
    ticket = asyncio.run(registry_socket.get_ticket(server.folder, session, "show", "https://hub.example.org"))
    answer = Visitor(server).ask(f"?rq-ticket={ticket}", allow_redirects=False)
    assert "; Secure; " in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_cannot_use_a_ticket(server: ProxyServer, session: ProxiedSession, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    address = server.address(session, "show")
    assert Visitor(server).get(address, headers=headers).status_code == 403
    assert Visitor(server).get(address).status_code == 200, "nor make it void"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("cookie", ["", "run-qarnot-visit=1.2.3.4", "run-qarnot-visit=é", "login=x", "{other}"])
def test_without_the_session_s_own_cookie_nobody_gets_in(
    server: ProxyServer, visitor: Visitor, ssh: Machine, app: int, method: str, cookie: str
) -> None:
    if cookie == "{other}":  # a true visitor of another session
        other = replace(ssh.session(app), id="rq-ffffffffffff", key="o" * 64, base_path="/rq-ffffffffffff/")
        their = Visitor(server)
        their.open(other)
        cookie = their.cookie()
        assert "run-qarnot-visit" in cookie
    answer = Visitor(server).ask("show", method, headers={"Cookie": cookie.encode()})
    assert answer.status_code == 403
    assert "size" not in answer.text


def test_a_large_body_without_cookie_is_answered_too(server: ProxyServer, visitor: Visitor) -> None:
    assert Visitor(server).ask("show", "PUT", data=b"x" * 20_000_000).status_code == 403
    assert visitor.ask("show", "PUT", data=b"x" * 20_000_000).json()["size"] == 20_000_000


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
HERE, THERE = "{here}", "https://evil.example"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Sec-Fetch-Site": "none", **NAVIGATION}, 200),
        ("GET", {"Sec-Fetch-Site": "cross-site", **NAVIGATION}, 200),  # a link, where the cookie is sent
        ("GET", {"Sec-Fetch-Site": "same-site", **NAVIGATION}, 200),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Origin": HERE}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site", **NAVIGATION}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {"Origin": HERE}, 200),
        ("POST", {"Origin": THERE}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://localhost:1"}, 403),  # another port of the same host, whose pages send our cookie
        ("POST", {}, 403),
        ("PUT", {}, 403),
        ("DELETE", {}, 403),
        ("GET", {}, 200),
        ("GET", {"Origin": THERE}, 403),
    ],
)
def test_requests_of_other_pages_are_refused(
    visitor: Visitor, method: str, headers: dict[str, str], status: int
) -> None:
    del visitor.headers["Sec-Fetch-Site"]
    sent = {name: value.format(here=visitor.server.origin) for name, value in headers.items()}
    assert visitor.ask("show", method, headers=sent).status_code == status


@pytest.mark.parametrize(("origin", "status"), [(HERE, 101), (THERE, 403), (None, 403)])
def test_websockets_of_other_pages_are_refused(visitor: Visitor, origin: str | None, status: int) -> None:
    address = f"ws://localhost:{visitor.server.port}{OUTER}echo"
    here = origin.format(here=visitor.server.origin) if origin else None
    options: dict[str, Any] = {"origin": here} if here else {"suppress_origin": True}
    with contextlib.ExitStack() as stack:
        if status != 101:
            caught = stack.enter_context(pytest.raises(WebSocketBadStatusException))
        connection = create_connection(address, cookie=visitor.cookie(), timeout=20, **options)
        stack.callback(connection.close)
        connection.send("hello")
        assert connection.recv() == "hello"
    if status != 101:
        assert caught.value.status_code == status


# what the app gets to know, and what is hidden from the visitor


def test_the_app_gets_its_token_and_nothing_of_the_dashboard(server: ProxyServer, session: ProxiedSession) -> None:
    visitor = Visitor(server)
    visitor.get(f"{server.origin}{BASE_URL}")
    assert {cookie.value for cookie in visitor.cookies} == {"of-the-dashboard", "secret-of-the-dashboard"}
    visitor.open(session, "")
    seen = visitor.ask("show", headers={"Authorization": "Basic xyz", "Referer": f"{server.origin}{OUTER}"}).json()
    headers = seen["headers"]
    assert headers["authorization"] == f"token {APP_TOKEN}"
    assert headers["cookie"] == "_xsrf=of-the-app"
    assert headers["host"] == f"localhost:{session.app_port}"
    assert headers["referer"] == f"http://localhost:{session.app_port}/{SESSION_ID}/"
    assert not {"x-forwarded-for", "x-real-ip", "forwarded"} & headers.keys()
    assert "dashboard" not in json.dumps(seen)


def test_the_visitor_sees_our_addresses_and_no_token(visitor: Visitor) -> None:
    page = visitor.ask("")
    assert page.text == f'<title>App</title><a href="{OUTER}x"></a>'
    away = visitor.ask("away", allow_redirects=False)
    assert away.headers["Location"] == f"{OUTER}show?token="


def test_an_address_without_its_last_slash_is_put_right(visitor: Visitor) -> None:
    answer = visitor.get(f"{visitor.server.origin}{OUTER[:-1]}?x=1", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{OUTER}?x=1")


@pytest.mark.parametrize("path", [f"{SESSION_ID}0/show", "rq-0123456789AB/", "rq-/", f"x{SESSION_ID}/"])
def test_other_addresses_are_not_ours(server: ProxyServer, path: str) -> None:
    assert requests.get(f"{server.origin}{BASE_URL}{path}", timeout=20).status_code == 404


def test_an_app_without_base_path_is_reached_too(server: ProxyServer, ssh: Machine, app: int) -> None:
    plain = ssh.session(app, mount=Mount.STRIP, base_path="/", id="rq-aaaaaaaaaaaa", app_token=None)
    visitor = Visitor(server)
    seen = visitor.open(plain, "show?y").json()
    assert seen["uri"] == "/show?y"
    assert seen["headers"]["x-forwarded-prefix"] == f"{BASE_URL}rq-aaaaaaaaaaaa"
    assert "authorization" not in seen["headers"]


def test_secrets_are_in_no_file_argument_environment_or_output(
    server: ProxyServer, session: ProxiedSession, visitor: Visitor
) -> None:
    process = psutil.Process(server.process.pid)
    known = [APP_TOKEN, KEY, session.private_key.splitlines()[1]]
    told = " ".join([*process.cmdline(), *process.environ().values()])
    assert not [secret for secret in known if secret in told]
    assert not files_with(APP_TOKEN, server.folder)
    assert not files_with(KEY, server.folder)
    path = server.folder / "sessions.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# who may register


def test_only_who_knows_the_key_registers_opens_or_ends_a_session(
    server: ProxyServer, session: ProxiedSession, visitor: Visitor
) -> None:
    wrong = replace(session, key="w" * 64, app_port=1)
    for attempt in (
        registry_socket.register(server.folder, wrong),
        registry_socket.get_ticket(server.folder, wrong, "show", server.origin),
        registry_socket.end(server.folder, session.id, wrong.key),
    ):
        with pytest.raises(RegistryError):
            asyncio.run(attempt)
    assert visitor.ask("show").status_code == 200


@pytest.mark.parametrize(
    "line",
    [b"", b"x\n", b"{}\n", b"[]\n", b'{"do": "register", "session": {}}\n', b"x" * 100_000],
    ids=["nothing", "no JSON", "nothing asked", "a list", "no session", "no end"],
)
def test_what_is_no_question_is_refused(server: ProxyServer, line: bytes) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_unix_connection(server.folder / "sessions.sock")
        writer.write(line)
        with contextlib.suppress(OSError):
            writer.write_eof()
        with contextlib.closing(writer):
            return await reader.read()

    assert asyncio.run(ask()) in (b"", b'{"error": "unknown"}\n', b'{"error": "refused"}\n')


def test_without_a_server_the_kernel_hears_so(session: ProxiedSession, tmp_path: Path) -> None:
    assert not registry_socket.is_available(None)
    assert not registry_socket.is_available(tmp_path)
    with pytest.raises(RegistryError):
        asyncio.run(registry_socket.register(tmp_path, session))


# the machine goes away, or the server


PAGE = {"Accept": "text/html"}


def test_a_broken_tunnel_is_said_and_opened_again(ssh: Machine, visitor: Visitor) -> None:
    ssh.stop()
    try:
        answer = visitor.ask("show", headers=PAGE)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
        assert "The session does not answer" in answer.text
        assert 'http-equiv="refresh" content="3"' in answer.text
        assert f'href="{BASE_URL}"' in answer.text
        assert APP_TOKEN not in answer.text
        french = visitor.ask("show", headers={**PAGE, "Accept-Language": "fr"})
        assert "La session ne répond pas" in french.text
        program = visitor.ask("show", "POST", data=b"x" * 1_000_000)
        assert (program.status_code, program.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
    finally:
        ssh.start()
    wait_until(lambda: visitor.ask("show").status_code == 200, "the tunnel")


def test_an_app_that_does_not_answer_is_said(server: ProxyServer, ssh: Machine) -> None:
    nothing = ssh.session(9, id="rq-bbbbbbbbbbbb", base_path="/rq-bbbbbbbbbbbb/")
    answer = Visitor(server).get(server.address(nothing), headers=PAGE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert "does not answer" in answer.text


def test_after_a_preemption_the_same_cookie_leads_to_the_new_machine(
    folder: Path, server: ProxyServer, session: ProxiedSession, visitor: Visitor
) -> None:
    with machine(folder / "second") as second:
        moved = second.session(session.app_port)
        assert moved.ssh != session.ssh
        server.register(moved)
        assert visitor.ask("show").status_code == 200
        assert "Accepted publickey" in (folder / "second" / "sshd.log").read_text()
    assert visitor.ask("show").status_code == 503
    server.register(session)
    wait_until(lambda: visitor.ask("show").status_code == 200, "the first machine")


def test_after_a_restart_the_same_cookie_is_good_once_a_page_knows_the_session(
    ssh: Machine, app: int, folder: Path
) -> None:
    place = folder / "again"
    place.mkdir()
    session = ssh.session(app)
    first = ProxyServer(place, BASE_URL)
    visitor = Visitor(first)
    try:
        assert visitor.open(session).status_code == 200
    finally:
        first.end()
    second = ProxyServer(place, BASE_URL, first.port)
    try:
        answer = visitor.ask("show", headers=PAGE)
        assert answer.status_code == 503
        assert "Open the dashboard again" in answer.text
        second.register(session)
        assert visitor.ask("show").status_code == 200
    finally:
        second.end()


def test_a_session_that_has_ended_is_said_and_can_run_again(
    server: ProxyServer, session: ProxiedSession, visitor: Visitor
) -> None:
    asyncio.run(registry_socket.end(server.folder, session.id, session.key))
    answer = visitor.ask("show", headers=PAGE)
    assert answer.status_code == 410
    assert "The session has ended" in answer.text
    server.register(session)
    wait_until(
        lambda: visitor.ask("show").status_code == 200, "the app to be reached again"
    )  # the page tries again, too


def test_many_at_once_share_one_tunnel(folder: Path, app: int, server: ProxyServer) -> None:
    with machine(folder / "third") as third:
        session = third.session(app, id="rq-cccccccccccc")
        session = replace(session, base_path="/", mount=Mount.STRIP)
        visitor = Visitor(server)
        ticket = server.address(session)
        cookie = visitor.get(ticket, allow_redirects=False).headers["Set-Cookie"].split(";")[0]
        address = f"{server.origin}{BASE_URL}{session.id}/show"

        def one(_: int) -> int:
            return requests.get(address, headers={"Cookie": cookie}, timeout=30).status_code

        with ThreadPoolExecutor(30) as pool:
            assert set(pool.map(one, range(60))) == {200}
        assert (folder / "third" / "sshd.log").read_text().count("Accepted publickey") == 1


def test_a_tunnel_is_closed_some_time_after_the_last_request(ssh: Machine, app: int) -> None:
    async def scenario() -> None:
        registry = SessionRegistry(idle_seconds=0.05)
        registry.register(ssh.session(app))
        known = registry.find(SESSION_ID)
        assert known is not None
        known.acquire()
        known.acquire()
        await known.address()
        known.release()
        assert known.is_connected
        known.release()
        await until(lambda: not known.is_connected, "the tunnel to be closed")
        known.acquire()
        await known.address()
        assert known.is_connected, "and opened by the next"
        await registry.close()
        assert not known.is_connected

    asyncio.run(scenario())
