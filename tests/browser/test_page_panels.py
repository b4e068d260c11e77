"""What plugins show of a session, on its card: as text, in time, and a bad plugin costs one row."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support import servers
from support.accessibility import assert_accessible
from support.command import CommandLine
from support.repository import ROOT
from support.servers import Server
from support.traffic import Traffic
from support.visitor import stop

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EVIL = "<img src=x onerror=window.hacked=1>{{7*191}}<svg onload=window.hacked=1>"
PLUGIN = f'''
from run_qarnot import Panel, hookimpl

EVIL = {EVIL!r}
TEXT = f"""# {{EVIL}} heading
[click](javascript:window.hacked=1) [data](data:text/html,<script>window.hacked=1</script>) [ok](https://example.org/a)
![{{EVIL}} picture](http://127.0.0.1:9/spy.png)
<script>window.hacked=1</script>

    {{EVIL}} code
"""


@hookimpl
def rq_panel(session):
    return Panel(f"{{EVIL}} title", TEXT, (f"{{EVIL}} head",), ((f"{{EVIL}} cell",),))
'''
OURS = """
from run_qarnot import Panel, hookimpl


@hookimpl
def rq_panel(session):
    return Panel("none", "the storage", ("text",), (("a list",),)) if session.state == "ended" else None
"""
BAD = """
from run_qarnot import hookimpl


@hookimpl
def rq_panel(session):
    a_line_of_the_source = 1 / 0
"""


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("panels")
    (folder / "plugins").mkdir()
    shutil.copy(ROOT / "plugins" / "receipt.py", folder / "plugins")
    (folder / "plugins" / "evil.py").write_text(PLUGIN)
    (folder / "plugins" / "bad.py").write_text(BAD)
    (folder / "plugins" / "the storage.py").write_text(OURS)
    with servers.dashboard(CommandLine.of_account(cluster, folder)) as server:
        yield server


def test_the_receipt_comes_with_the_first_save_and_hostile_panels_are_text(
    page: Page, dashboard: Server, traffic: Traffic
) -> None:
    page.goto(dashboard.address("opt-image=base"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("with-panels")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-with-panels")
    panels = card.get_by_test_id("panel")
    expect(panels).to_have_count(1)
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    card.get_by_test_id("save").click()
    receipt = panels.filter(has_text="installed by you.")
    expect(receipt, "it is there without a reload").to_contain_text("by receipt.py", timeout=30_000)
    table = receipt.get_by_role("table")
    expect(table, "a long table is folded").to_have_count(0)
    receipt.get_by_test_id("panel-table").click()
    expect(table.get_by_role("row").filter(has_text="jupyterlab").first).to_be_visible()

    evil = panels.filter(has_text="by evil.py")
    for place in ("title", "heading", "picture", "code", "head", "cell"):
        expect(evil).to_contain_text(f"{EVIL} {place}")
    expect(evil.get_by_role("link")).to_have_count(1)
    expect(evil.get_by_role("link")).to_have_attribute("href", "https://example.org/a")
    expect(evil.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    assert page.evaluate("window.hacked") is None
    assert card.locator("img, script, [onerror], [onload], a[href^='javascript:' i], a[href^='data:' i]").count() == 0
    assert "1337" not in page.inner_text("body"), "text was taken for a template"
    assert traffic.hosts <= {"localhost", "127.0.0.1", ""}
    assert_accessible(page, "a session with panels")
    stop(card)


def test_a_panel_that_fails_is_one_row_by_name_without_its_traceback(
    page: Page, dashboard: Server, traffic: Traffic
) -> None:
    page.goto(dashboard.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    card = page.get_by_test_id("session-with-panels")
    card.get_by_role("button", name="Results", exact=True).click()
    expect(card.get_by_test_id("panel")).to_have_count(3)
    row = page.get_by_test_id("image-broken")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("bad.py")
    expect(row).to_contain_text("ZeroDivisionError")
    assert not traffic.holds("a_line_of_the_source")


def test_in_french_a_plugins_own_text_is_its_own_and_ours_is_french(browser: Browser, dashboard: Server) -> None:
    """Also where it reads as a phrase of ours: “none” is « aucun » only where we say it."""
    with contextlib.closing(browser.new_context(locale="fr-FR", reduced_motion="reduce")) as context:
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(dashboard.address())
        expect(page.get_by_test_id("account")).to_be_visible()
        card = page.get_by_test_id("session-with-panels")
        card.get_by_role("button", name="Résultats", exact=True).click()
        panels = card.get_by_test_id("panel")
        expect(panels.filter(has_text="installés.")).to_contain_text("Paquets")
        own = panels.filter(has_text="the storage.py")
        for text in ("none", "the storage", "text", "a list"):
            expect(own).to_contain_text(text)
        expect(card.get_by_test_id("state")).to_contain_text("Terminé")
        page.goto("about:blank")  # the farewell by which a kernel ends
