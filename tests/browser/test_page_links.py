"""Launch links, sharing, deleting, and the two switches: on the running page."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.browser]
OFF_CENTRE = """drop => {
    const middle = of => { const box = of.getBoundingClientRect(); return (box.left + box.right) / 2 }
    const buttons = Array.from(drop.querySelectorAll('.rq-choose'))
    return Math.max(...buttons.map(button => Math.abs(middle(button) - middle(drop))))
}"""


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_test_id("account")).to_be_visible()


def test_a_link_fills_the_form_says_so_and_starts_nothing(page: Page, demo: Server) -> None:
    open_page(page, demo.address("opt-image=auto-sklearn&opt-nodes=5&opt-hours=3&opt-folds=99&token=not-for-you-1"))
    note = page.get_by_test_id("link-note")
    expect(note).to_contain_text("Machines: 5")
    expect(note, "what fails its check is left out and said").to_contain_text("Write 10 or less")
    expect(note).to_contain_text("contained a token")
    assert "not-for-you-1" not in page.url, "the token stays in no address bar"
    assert "opt-nodes=5" in page.url
    expect(page.get_by_test_id("image-auto-sklearn").get_by_role("radio")).to_be_checked()
    expect(page.get_by_test_id("option-nodes")).to_have_value("5")
    expect(page.get_by_test_id("option-folds")).to_have_value("3")
    expect(page.get_by_test_id("hours")).to_have_value("3")
    expect(page.get_by_test_id("sessions").get_by_text("auto-sklearn")).to_have_count(0)
    assert "not-for-you-1" not in page.content()

    page.get_by_test_id("option-target").fill("price & more")
    page.get_by_test_id("share").last.click()
    shared = page.get_by_test_id("share-link").inner_text()
    expect(page.get_by_test_id("share-badge")).to_contain_text(f"]({shared})")
    open_page(page, shared)
    expect(page.get_by_test_id("option-target"), "what is shared is filled in again").to_have_value("price & more")
    expect(page.get_by_test_id("option-nodes")).to_have_value("5")
    expect(page.get_by_test_id("blockers"), "all is filled in").to_contain_text("auto-sklearn needs a container")
    expect(page.get_by_test_id("blockers").get_by_role("listitem")).to_have_count(1)


def test_an_ended_session_is_deleted_with_its_files_after_a_question(page: Page, demo: Server) -> None:
    open_page(page, demo.address("opt-image=command&opt-command=echo hello&opt-hours=1"))
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("short-lived")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-short-lived")
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    card.get_by_test_id("share").click()
    expect(card.get_by_test_id("share-link")).to_contain_text(re.compile("opt-image=command&opt-hours=1&opt-command="))
    card.get_by_test_id("delete").click()
    card.get_by_test_id("delete-keep").click()
    expect(card).to_be_visible()
    card.get_by_test_id("delete").click()
    card.get_by_test_id("delete-files").check()
    card.get_by_test_id("delete-confirm").click()
    expect(card).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("account")).to_be_visible()
    expect(page.get_by_text("Looking for your sessions…")).to_have_count(0)
    expect(card).to_have_count(0)


def test_the_browser_chooses_the_language_and_the_switch_another(browser: Browser, demo: Server) -> None:
    context = browser.new_context(locale="fr-FR", color_scheme="dark", reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    try:
        open_page(page, demo.address())
        expect(page.get_by_test_id("start")).to_contain_text("Démarrer")
        expect(page.get_by_test_id("account")).to_contain_text(re.compile(r"\d,\d\d crédits"))
        page.get_by_test_id("more").click()
        page.get_by_test_id("name").fill("Pas Un Nom")
        expect(page.get_by_test_id("blockers")).to_contain_text("Employez des minuscules")
        assert page.evaluate("document.documentElement.lang") == "fr"
        assert page.evaluate("document.documentElement.dataset.rqTheme") == "dark"
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.locator(".rq-drop").evaluate(OFF_CENTRE) < 2, "one below the other, both in the middle"
        page.get_by_test_id("language").select_option("en")
        page.get_by_test_id("theme").select_option("light")
        expect(page.get_by_test_id("blockers")).to_contain_text("Use small letters")
        assert page.evaluate("document.documentElement.dataset.rqTheme") == "light"
        page.reload(wait_until="commit")
        words = page.locator("#loading .in-en")
        expect(words, "dark on light").to_have_css("color", "rgb(85, 99, 107)")
        expect(page.get_by_test_id("account")).to_be_visible()
        expect(page.get_by_test_id("start"), "the choice is kept").to_contain_text("Start")
        expect(page.locator(".v-theme--light").first).to_be_visible()
    finally:
        context.close()


def test_results_are_looked_into_and_fetched_one_by_one(page: Page, demo: Server) -> None:
    command = "mkdir -p plots; echo inside > plots/a.txt; echo other > b.txt; echo secret > c.txt"
    open_page(page, demo.address(f"opt-image=command&opt-command={command}&opt-hours=1"))
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("with-results")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-with-results")
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    card.get_by_role("button", name="a.txt", exact=True).click()
    expect(card.get_by_test_id("preview")).to_contain_text("inside")

    with page.expect_download() as single:
        card.get_by_role("button", name="Download plots/a.txt").click()
    assert Path(single.value.path()).read_text() == "inside\n"
    assert urlsplit(single.value.url).netloc != urlsplit(page.url).netloc, "straight from the storage"
    card.get_by_role("button", name="b.txt", exact=True).click()
    expect(card.get_by_test_id("preview"), "the page and its kernel are still there").to_contain_text("other")

    card.get_by_role("checkbox", name="Choose b.txt").check()
    with page.expect_download() as download:
        card.get_by_test_id("download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["b.txt"]
