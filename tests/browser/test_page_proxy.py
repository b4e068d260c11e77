"""A session's JupyterLab through the page's proxy, in a real browser, at `/` and below: all parts are real."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Response, expect
from support.machine import APP_TOKEN, KEY, Machine, ProxyServer, jupyterlab, machine, proxy_server
from support.proxied import serving
from support.traffic import Traffic
from support.waiting import wait_until
from tornado.web import Application, RequestHandler

from run_qarnot.engine.proxied import ProxiedSession

pytestmark = [pytest.mark.slow, pytest.mark.browser]
MB = 1024 * 1024


class Desk:
    """What all tests of one mount share."""

    def __init__(self, folder: Path, ssh: Machine, lab: int, server: ProxyServer) -> None:
        self.work, self.ssh, self.server = folder / "lab" / "work", ssh, server
        self.session: ProxiedSession = ssh.session(lab)
        self.path = f"{server.base_url}{self.session.id}/"

    def address(self, path: str = "lab") -> str:
        return self.server.address(self.session, path)


@pytest.fixture(scope="module", params=["/", "/sub/path/"], ids=["root", "sub-path"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    try:
        with (
            machine(folder / "machine") as ssh,
            jupyterlab(folder / "lab") as lab,
            proxy_server(folder, request.param) as server,
        ):
            yield Desk(folder, ssh, lab, server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_jupyterlab_is_used_as_if_it_were_here(desk: Desk, page: Page) -> None:
    traffic = Traffic(page.context)
    requests: list[Request] = []
    answers: list[Response] = []
    page.on("request", lambda request: requests.append(request))
    page.on("response", lambda answer: answers.append(answer))
    page.goto(desk.address())
    assert page.url.startswith(f"{desk.server.origin}{desk.path}lab")

    # a terminal: first, because a notebook takes the focus whenever its kernel is there
    with page.expect_websocket(lambda socket: "/terminals/" in socket.url, timeout=60_000) as opened:
        page.locator('.jp-LauncherCard[data-category="Other"]', has_text="Terminal").first.click(timeout=60_000)
    opened.value.wait_for_event("framereceived", lambda frame: "stdout" in str(frame))  # the shell's prompt
    page.locator(".jp-Terminal .xterm-helper-textarea").press_sequentially("echo typed > by-hand.txt\n")
    wait_until(lambda: "typed" in _text(desk.work / "by-hand.txt"), "what the terminal writes")

    # a cell
    page.get_by_role("button", name="New Launcher").first.click()
    page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=60_000)
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    cell.click()
    page.keyboard.insert_text("print('six times seven is', 6 * 7)")
    expect(cell).to_contain_text("six times seven")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("six times seven is 42", timeout=60_000)

    # saved, and shown again after a reload
    page.keyboard.press("Control+s")
    page.locator(".jp-Dialog .jp-mod-accept").click()  # it asks for a name, and suggests the one it has
    wait_until(lambda: "six times seven is 42" in _text(desk.work / "Untitled.ipynb"), "the notebook to be saved")
    page.reload()
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("six times seven is 42", timeout=60_000)

    # 50 MB up and down
    content = bytes(range(256)) * (50 * MB // 256)
    upload = desk.work.parent / "large.bin"
    upload.write_bytes(content)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload Files").click()
    chooser.value.set_files(upload)
    page.locator(".jp-Dialog .jp-mod-accept").click()  # it warns of large files
    wait_until(lambda: _size(desk.work / "large.bin") == len(content), "the upload", seconds=90)
    found = page.evaluate(
        """async path => {
            const bytes = await (await fetch(path)).arrayBuffer()
            const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
            return [bytes.byteLength, Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')]
        }""",
        f"{desk.path}files/large.bin",
    )
    assert found == [len(content), hashlib.sha256(content).hexdigest()]

    # nothing went beside the proxy, and nobody saw a secret
    outside = [request.url for request in requests if not urlsplit(request.url).path.startswith(desk.path)]
    assert not [url for url in outside if not url.startswith(("data:", "blob:"))]
    assert {urlsplit(request.url).netloc for request in requests} <= {f"localhost:{desk.server.port}", ""}
    failed = [f"{answer.status} {answer.url}" for answer in answers if answer.status >= 400]
    assert not [line for line in failed if "workspaces" not in line], "a workspace that is not there yet is a 404"
    assert not traffic.holds(APP_TOKEN)
    assert not traffic.holds(KEY)
    assert not [request.url for request in requests if APP_TOKEN in request.url]
    assert APP_TOKEN not in json.dumps(page.context.storage_state())


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_another_browser_is_sent_to_the_dashboard(desk: Desk, page: Page, browser: Browser) -> None:
    address = desk.address("tree")
    page.goto(address)
    other = browser.new_context(locale="en-GB")
    stranger = other.new_page()
    for url in (address, f"{desk.server.origin}{desk.path}lab", f"{desk.server.origin}{desk.path}api/contents"):
        answer = stranger.goto(url)
        assert answer is not None
        assert answer.status == 403
        expect(stranger.get_by_test_id("notice")).to_have_text("Open it from the dashboard")
    stranger.get_by_test_id("dashboard").click()
    expect(stranger).to_have_url(f"{desk.server.origin}{desk.server.base_url}")
    other.close()


ATTACK = """async ([http, ws]) => {
    const tried = {}
    const ask = async (name, options) => {
        const asked = fetch(http + 'api/contents', { credentials: 'include', ...options })
        tried[name] = await asked.then(answer => answer.type, () => 'failed')
    }
    await ask('get', {})
    await ask('blind get', { mode: 'no-cors' })
    await ask('blind post', { mode: 'no-cors', method: 'POST', body: '{}' })
    await new Promise(done => {
        const socket = new WebSocket(ws + 'api/events/subscribe')
        socket.onopen = () => { tried.websocket = 'open'; done() }
        socket.onerror = () => { tried.websocket = 'failed'; done() }
    })
    await new Promise(done => {
        const frame = document.createElement('iframe')
        frame.src = http + 'lab'; frame.onload = done; document.body.append(frame)
    })
    return tried
}"""


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])  # same site (another port), and another site
def test_another_website_gets_nothing_done(desk: Desk, page: Page, host: str) -> None:
    class Evil(RequestHandler):
        def get(self) -> None:
            self.finish("<title>Evil</title><body>")

    page.goto(desk.address("tree"))
    before = sorted(path.name for path in desk.work.iterdir())
    with serving(Application([("/", Evil)])) as port:
        page.goto(f"http://{host}:{port}/")
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        here = f"localhost:{desk.server.port}{desk.path}"
        tried = page.evaluate(ATTACK, [f"http://{here}", f"ws://{here}"])
    assert tried["get"] == tried["websocket"] == "failed"
    ours = [answer for answer in answers if here in answer.url]
    assert len(ours) >= 3
    assert {answer.status for answer in ours} == {403}
    assert sorted(path.name for path in desk.work.iterdir()) == before


def test_while_the_machine_is_away_the_page_says_so_and_comes_back(desk: Desk, page: Page) -> None:
    page.goto(desk.address("lab"))
    page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)
    desk.ssh.stop()
    page.reload()
    expect(page.get_by_test_id("notice")).to_have_text("The session does not answer")
    expect(page.get_by_test_id("dashboard")).to_have_attribute("href", desk.server.base_url)
    desk.ssh.start()
    page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)  # nobody has to reload
    expect(page).to_have_title(re.compile("JupyterLab|Untitled"))
