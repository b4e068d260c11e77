"""The page while it loads, for somebody who has no sessions yet, and for somebody who has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from support import servers
from support.command import CommandLine, clean_environment
from support.ports import free_port
from support.servers import Server, running

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Server]:
    """One of its own: sessions of other tests would come in above the cards, and move them."""
    cli = CommandLine(tmp_path, clean_environment(HOME=str(tmp_path)))
    with running(cli, "demo", "--no-browser", "--port", free_port()) as server:
        yield server


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that knows no account."""
    with servers.dashboard(CommandLine.at(cluster, tmp_path_factory.mktemp("loading"))) as server:
        yield server


@pytest.fixture
def motion() -> str:
    """What comes in above slides down."""
    return "no-preference"


WATCH = """
window.jumps = 0
new PerformanceObserver(list => { for (const entry of list.getEntries()) window.jumps += entry.value })
  .observe({ type: 'layout-shift', buffered: true })
"""


def jumps(page: Page) -> float:
    """Cumulative layout shift as browsers measure it; below 0.1 is called good."""
    expect(page.get_by_test_id("account")).to_be_visible()
    expect(page.get_by_text("Looking for your sessions…")).to_have_count(0)
    return float(page.evaluate("window.jumps"))


def test_nothing_jumps_while_the_page_loads(page: Page, demo: Server) -> None:
    page.add_init_script(WATCH)
    page.goto(demo.address())
    assert jumps(page) < 0.1


def test_nothing_jumps_when_sessions_come_in(page: Page, demo: Server) -> None:
    """They stand above the cards, and come when the cluster has answered. What somebody types into stays in place."""
    page.goto(demo.address("opt-image=command&opt-command=sleep 600"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("calm-heron")
    page.get_by_test_id("start").click()
    state = page.get_by_test_id("session-calm-heron").get_by_test_id("state")
    expect(state).to_contain_text("Running")
    page.add_init_script(WATCH)
    page.reload()
    expect(state).to_contain_text("Running")
    assert jumps(page) < 0.1


def test_nothing_jumps_when_a_token_is_accepted(page: Page, dashboard: Server, cluster: LocalCluster) -> None:
    page.add_init_script(WATCH)
    page.goto(dashboard.address())
    below, token = page.get_by_test_id("image-base"), page.get_by_test_id("token")
    for language, width in itertools.product(("en", "fr"), (1280, 360)):
        page.set_viewport_size({"width": width, "height": 900})
        page.get_by_test_id("language").select_option(language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(token).to_have_value("")
        before = below.bounding_box()
        page.evaluate("window.jumps = 0")
        token.fill(f" {cluster.token}")  # of which more is said than of one without spaces
        token.press("Enter")
        expect(page.get_by_test_id("account")).to_be_visible()
        assert below.bounding_box() == before
        assert page.evaluate("window.jumps") < 0.01
        page.get_by_test_id("change").click()


def test_the_page_comes_compiled_and_its_scripts_come_while_the_kernel_starts(page: Page, demo: Server) -> None:
    """ipyvue's compiler of components, 800 kB, is never loaded; Voila's scripts stand before what the kernel brings."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(demo.address())
    expect(page.get_by_test_id("start")).to_be_visible()
    assert any("/static/components.js" in url for url in asked)
    assert [url for url in asked if "vue-sfc" in url] == []
    assert answer is not None
    html = answer.text()
    assert 0 < html.index("/voila.js") < html.index("dataset.kernelId")


def test_a_page_that_does_not_open_says_so_and_can_be_loaded_again(page: Page, demo: Server) -> None:
    """A proxy lets no websocket through: without one, no page."""
    proxy = {"is_open": False}

    def connect(socket: WebSocketRoute) -> None:
        if proxy["is_open"]:
            socket.connect_to_server()

    page.route_web_socket("**/channels**", connect)
    page.clock.install()
    page.goto(demo.address())
    expect(page.get_by_text("Loading widget")).to_be_attached()
    stuck = page.get_by_test_id("stuck")
    expect(stuck).to_be_hidden()
    page.clock.fast_forward(60_000)
    expect(stuck).to_contain_text("The page has not opened. Load it again; what runs on the cluster goes on.")
    proxy["is_open"] = True
    stuck.get_by_role("button").click()
    expect(page.get_by_test_id("start")).to_be_visible()
    page.clock.fast_forward(60_000)
    expect(stuck).to_be_hidden()


def test_an_error_in_place_of_the_page_is_said_at_once(page: Page, demo: Server) -> None:
    page.route("**/jupyter-vuetify/**", lambda route: route.abort())
    page.clock.set_fixed_time(0)  # it is not said because it takes long
    page.goto(demo.address())
    expect(page.get_by_test_id("stuck")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("javascript error")).to_be_hidden()
