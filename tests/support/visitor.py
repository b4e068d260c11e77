"""What a visitor does on the page, a step a function."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def sign_in(page: Page, token: str) -> None:
    """Enter a Qarnot token; return once the account is shown."""
    page.get_by_test_id("token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_test_id("account")).to_be_visible()


def start(page: Page, name: str, milliseconds: float) -> Locator:
    """Start a session of this name from the form; return its card once its app can be opened."""
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill(name)
    expect(page.get_by_test_id("start")).to_be_enabled(timeout=milliseconds)
    page.get_by_test_id("start").click()
    card = page.get_by_test_id(f"session-{name}")
    card.get_by_test_id("open").wait_for(timeout=milliseconds)
    return card


def open_app(page: Page, card: Locator) -> Page:
    """Open the app of a session; return its tab."""
    with page.expect_popup() as popup:
        card.get_by_test_id("open").click()
    return popup.value


def stop(card: Locator, milliseconds: float = 60_000) -> None:
    """Stop a session without saving; return once it has ended."""
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-no-save").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=milliseconds)
