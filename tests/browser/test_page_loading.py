"""The page while it loads, for somebody who has no sessions yet."""

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


def test_nothing_jumps_while_the_page_loads(page: Page, demo: Server) -> None:
    """Cumulative layout shift as browsers measure it; below 0.1 is called good."""
    page.add_init_script("""
        window.jumps = 0
        new PerformanceObserver(list => { for (const entry of list.getEntries()) window.jumps += entry.value })
          .observe({ type: 'layout-shift', buffered: true })
    """)
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    expect(page.get_by_text("Looking for your sessions…")).to_have_count(0)
    assert page.evaluate("window.jumps") < 0.1
