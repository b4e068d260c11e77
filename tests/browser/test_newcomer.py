"""A newcomer on a laptop: from the demo's address to a cell in JupyterLab, and on to a second person with the link.

The same from nginx, a hub and Binder: `test_page_behind_proxy.py`, `test_page_on_hub.py`, `test_page_on_binder.py`.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.lab import run_a_cell
from support.pictures import take_picture
from support.servers import Server
from support.visitor import open_app, start, stop

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]


def test_a_newcomer_runs_a_cell_and_shares_the_form(page: Page, browser: Browser, demo: Server) -> None:
    page.goto(demo.address("opt-image=base&opt-hours=2"))
    expect(page.get_by_test_id("account")).to_contain_text("you@localhost", timeout=60_000)
    take_picture(page, "laptop-page", whole=True)
    card = start(page, "on-a-laptop", 180_000)
    lab = open_app(page, card)
    run_a_cell(lab)
    take_picture(lab, "laptop-cell")
    assert urlsplit(lab.url).hostname == "127.0.0.1", "an address of its own, with cookies of its own"

    page.bring_to_front()
    page.get_by_test_id("share").last.click()
    expect(page.get_by_test_id("share-local").last, "it leads everybody to their own computer").to_be_visible()
    shared = page.get_by_test_id("share-link").inner_text()
    (login,) = parse_qs(urlsplit(demo.address()).query)["token"]
    assert login not in shared
    context = browser.new_context(locale="en-GB")
    second = context.new_page()
    second.goto(shared)
    second.get_by_test_id("login-token").fill(login)
    second.get_by_test_id("login").click()
    expect(second.get_by_test_id("hours")).to_have_value("2", timeout=60_000)
    expect(second.get_by_test_id("start")).to_contain_text("JupyterLab")
    take_picture(second, "laptop-second-person", whole=True)
    second.goto("about:blank")
    context.close()

    lab.goto("about:blank")
    stop(card)
