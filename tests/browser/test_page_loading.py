"""The page while it loads, for somebody who has no sessions yet, and for somebody who has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.command import CommandLine, clean_environment
from support.servers import Server, running

pytestmark = pytest.mark.browser


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Server]:
    """One of its own: sessions of other tests would come in above the cards, and move them."""
    with running(CommandLine(tmp_path, clean_environment(HOME=str(tmp_path))), "demo", "--no-browser") as server:
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
    page.goto(f"{demo.address()}?opt-image=command&opt-command=sleep 600")
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("calm-heron")
    page.get_by_test_id("start").click()
    state = page.get_by_test_id("session-calm-heron").get_by_test_id("state")
    expect(state).to_contain_text("Ready")
    page.add_init_script(WATCH)
    page.reload()
    expect(state).to_contain_text("Ready")
    assert jumps(page) < 0.1


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
