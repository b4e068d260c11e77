"""Logging in, in Chromium: by the printed address, by the form, out again, after a restart; and who may not."""

from __future__ import annotations

import contextlib
import http.server
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from support.accessibility import assert_plain_accessible
from support.browser import FakeBrowser
from support.command import CommandLine
from support.ports import free_port
from support.processes import words_of
from support.servers import Server, kernels, running
from support.traffic import Traffic
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.browser
TOKEN = "a long login token"
LINK = "opt-image=base&opt-hours=3"


@pytest.fixture(scope="module")
def cli(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return CommandLine.of_account(cluster, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def chosen(cli: CommandLine) -> CommandLine:
    """With a login token that somebody has chosen."""
    return cli.with_environment(RUN_QARNOT_LOGIN_TOKEN=TOKEN)


@pytest.fixture(scope="module")
def dashboard(chosen: CommandLine) -> Iterator[Server]:
    with running(chosen, "dashboard", "--no-browser", "--port", free_port()) as server:
        server.address()
        yield server


@contextlib.contextmanager
def foreign_site(html: str) -> Iterator[str]:
    """Another web site on this machine, with one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fill_in(page: Page, token: str) -> None:
    page.get_by_test_id("login-token").fill(token)
    page.get_by_test_id("login").click()


def wait_for_refusals(dashboard: Server, path: str, times: int) -> None:
    wait_until(lambda: dashboard.printed.count(f" 403 GET {path} ") >= times, f"{path} to be refused {times} times")


def test_the_printed_address_logs_in_and_its_token_is_nowhere_afterwards(page: Page, cli: CommandLine) -> None:
    with running(cli, "dashboard", "--no-browser", "--port", free_port()) as server:
        token = server.address().partition("token=")[2]
        page.goto(server.address(LINK))
        expect(page.get_by_test_id("hours")).to_have_value("3")
        note = page.get_by_test_id("link-note")
        expect(note).to_contain_text("The link filled in these fields.")
        expect(note, "it is no alarm").not_to_contain_text("token")
        assert page.url.endswith(f"/?{LINK}")
        assert token not in page.content()
        page.reload()
        expect(page.get_by_test_id("hours")).to_have_value("3")
        page.go_back()
        assert token not in page.url


def test_the_form_logs_in_with_a_link_and_says_what_is_wrong(page: Page, dashboard: Server, traffic: Traffic) -> None:
    page.goto(f"{dashboard.address()}?{LINK}")
    assert_plain_accessible(page, "the login")
    fill_in(page, "qarnot-token-by-mistake")
    expect(page.get_by_test_id("problem")).to_have_text("This is not the login token of this dashboard.")
    assert_plain_accessible(page, "a wrong token")
    assert not kernels(dashboard)
    fill_in(page, f" {TOKEN} ")
    expect(page.get_by_test_id("hours")).to_have_value("3")
    assert page.url.endswith(f"/?{LINK}")
    assert TOKEN not in page.content()
    page.get_by_test_id("logout").click()
    expect(page.get_by_role("heading")).to_have_text("You are logged out")
    wait_until(lambda: not kernels(dashboard), "the page's kernel to end")
    page.goto(dashboard.address())
    expect(page.get_by_test_id("login-token")).to_be_focused()


def test_the_form_on_a_phone_in_french_and_in_the_dark(browser: Browser, dashboard: Server) -> None:
    context = browser.new_context(locale="fr-FR", color_scheme="dark", viewport={"width": 360, "height": 740})
    try:
        page = context.new_page()
        page.goto(dashboard.address())
        expect(page.get_by_role("heading")).to_have_text("Se connecter")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert_plain_accessible(page, "the login in the dark")
    finally:
        context.close()


def test_a_restart_of_the_server_keeps_the_login(page: Page, chosen: CommandLine) -> None:
    port = free_port()
    with running(chosen, "dashboard", "--no-browser", "--port", port) as server:
        page.goto(server.address())
        fill_in(page, TOKEN)
        expect(page.get_by_test_id("start")).to_be_visible()
    with running(chosen, "dashboard", "--no-browser", "--port", port) as server:
        server.address()
        page.get_by_test_id("reload").click(timeout=60_000)
        expect(page.get_by_test_id("asleep")).to_have_count(0)
        expect(page.get_by_test_id("start")).to_be_visible()


def test_another_site_cannot_start_kernels_for_who_is_logged_in(
    page: Page, dashboard: Server, traffic: Traffic
) -> None:
    page.goto(dashboard.address())
    fill_in(page, TOKEN)
    expect(page.get_by_test_id("start")).to_be_visible()
    page.goto("about:blank")
    wait_until(lambda: not kernels(dashboard), "the kernel of the first visit to end")
    address = dashboard.address()
    here = address.replace("localhost", "127.0.0.1")
    channels = f"{address.replace('http', 'ws')}api/kernels/{uuid.uuid4()}/channels"
    html = f"""<title>elsewhere</title>
        <img src="{address}?x=1"><img src="{here}?x=2"><iframe src="{address}?x=3"></iframe>
        <script src="{address}?x=4"></script><link rel="stylesheet" href="{address}?x=5">
        <script>
        const done = fetch("{address}?x=6", {{mode: "no-cors", credentials: "include"}}).then(a => a.type, String)
        const socket = new WebSocket("{channels}")
        const refused = new Promise(done => {{ socket.onerror = () => done(true); socket.onopen = () => done(false) }})
        </script><a href="{address}?{LINK}">a launch link</a>"""
    with foreign_site(html) as site, foreign_site(html) as other:
        for visit, place in enumerate((site, other.replace("127.0.0.1", "localhost")), 1):  # the other: another port
            page.goto(place)
            page.evaluate("done")
            assert page.evaluate("refused")
            for number in range(1, 7):
                wait_for_refusals(dashboard, f"/?x={number}", visit)
        assert not kernels(dashboard)
        page.get_by_role("link").click()
        expect(page.get_by_test_id("hours"), "but it can lead here").to_have_value("3")


def test_the_browser_that_is_opened_is_logged_in_and_nobody_sees_the_token(
    page: Page, cli: CommandLine, tmp_path: Path
) -> None:
    opened = FakeBrowser(tmp_path)
    with running(cli.with_environment(BROWSER=str(opened.program)), "dashboard", "--port", free_port()) as server:
        token = server.address().partition("token=")[2]
        seen = opened.seen()
        assert seen.target == server.address()
        assert token not in seen.address + "".join(seen.commands)
        for process in [psutil.Process(server.process.pid), *server.family()]:
            assert token not in " ".join(words_of(process))
        page.goto(seen.target)
        expect(page.get_by_test_id("start")).to_be_visible()
