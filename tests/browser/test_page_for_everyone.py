"""The page for everyone: axe-core finds nothing serious, and neither a mouse nor a wide screen is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from support.accessibility import assert_accessible, assert_fits
from support.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.browser]
BESIDE = """box => {
    const sentence = document.createRange()
    sentence.selectNodeContents(box.nextSibling)
    return sentence.getBoundingClientRect().left > box.getBoundingClientRect().right
}"""


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    viewport: ViewportSize = {"width": 360, "height": 740}
    context = browser.new_context(locale="en-GB", viewport=viewport, has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    yield page
    context.close()


def test_every_state_is_accessible_and_fits_on_a_phone(phone: Page, demo: Server) -> None:
    page = phone
    command = "echo hello | tee made.txt; sleep 600"
    page.goto(demo.address(f"opt-image=command&opt-command={command}&opt-nothing=1&token=abcdef"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("share").last.click()
    expect(page.get_by_test_id("share-link")).to_be_visible()
    assert_fits(page)
    assert_accessible(page, "a form filled in by a link")
    page.get_by_test_id("name").fill("Not A Name")
    page.get_by_test_id("ssh-key").fill("-----BEGIN OPENSSH PRIVATE KEY-----")
    expect(page.get_by_test_id("blockers")).to_be_visible()
    expect(page.get_by_test_id("key-refused")).to_be_visible()
    assert_accessible(page, "a form with faults")
    page.get_by_test_id("name").fill("for-everyone")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-for-everyone")
    expect(card.get_by_test_id("state")).to_contain_text("Running", timeout=60_000)
    card.get_by_test_id("log").get_by_role("button").click()
    expect(card.get_by_test_id("log-lines")).to_contain_text("hello")
    card.get_by_test_id("stop").click()
    assert_fits(page)
    assert_accessible(page, "a running session, asked whether to stop")
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    card.get_by_role("button", name="made.txt", exact=True).click()
    expect(card.get_by_test_id("preview")).to_contain_text("hello")
    assert_fits(page)
    assert_accessible(page, "an ended session with results, and a look into one")
    card.get_by_test_id("delete").click()
    expect(card.get_by_test_id("delete-keep")).to_be_focused()
    assert card.get_by_test_id("delete-files").evaluate(BESIDE), "the box stands beside its sentence"
    card.get_by_test_id("share").click()
    page.get_by_test_id("share").last.click()
    expect(page.get_by_test_id("share-local"), "the demo is on this computer").to_have_count(2)
    assert_fits(page)
    assert_accessible(page, "an ended session, asked whether to delete, and both it and the form shared")


def test_a_failed_session_is_accessible_and_fits_on_a_phone(phone: Page, demo: Server) -> None:
    page = phone
    page.goto(demo.address(f"opt-image=command&opt-command=echo {'a-long-word-' * 30}; exit 3"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("for-nobody")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-for-nobody")
    expect(card.get_by_test_id("state")).to_contain_text("Failed", timeout=60_000)
    expect(card.get_by_test_id("error")).to_be_visible()
    expect(card.get_by_test_id("log-lines")).to_contain_text("a-long-word")
    assert_fits(page)
    assert_accessible(page, "a failed session")


def test_nothing_moves_for_who_wants_no_motion(page: Page, demo: Server) -> None:
    page.goto(demo.address())
    button = page.get_by_test_id("start")
    moves = "button => getComputedStyle(button).transitionProperty"
    expect(button).to_be_visible()
    assert button.evaluate(moves) == "none"
    page.emulate_media(reduced_motion="no-preference")
    assert button.evaluate(moves) != "none"


def test_the_keyboard_alone_does_the_whole_flow(page: Page, demo: Server) -> None:
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    keyboard = page.keyboard

    def go_to(name: str) -> None:
        """Press Tab until the field has the focus, which must be visible."""
        for _ in range(150):
            keyboard.press("Tab")
            if page.evaluate("document.activeElement.closest('[data-testid]')?.dataset.testid") == name:
                return
        raise AssertionError(f"Tab never reaches {name}")

    go_to("image-base")
    while not page.get_by_test_id("image-command").get_by_role("radio").is_checked():
        keyboard.press("ArrowDown")
    expect(page.get_by_test_id("option-command")).to_be_visible()
    go_to("option-command")
    keyboard.type("echo hello > made.txt")
    go_to("upload")
    go_to("more")
    keyboard.press("Enter")
    go_to("name")
    keyboard.press("ControlOrMeta+a")
    keyboard.type("by-keyboard")
    expect(page.get_by_test_id("start")).to_be_enabled()
    go_to("start")
    keyboard.press("Enter")
    card = page.get_by_test_id("session-by-keyboard")
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    expect(card.get_by_test_id("results")).to_contain_text("made.txt")
    with page.expect_download() as download:
        go_to("download")
        keyboard.press("Enter")
    assert download.value.suggested_filename == "by-keyboard-results.zip"
    go_to("continue")
    go_to("delete")
    keyboard.press("Enter")
    expect(card.get_by_test_id("delete-keep"), "the safe answer has the focus").to_be_focused()
    keyboard.press("Escape")
    expect(card.get_by_test_id("delete-keep")).to_have_count(0)
