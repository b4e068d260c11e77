"""Whether everybody can use a page: axe-core in both colours, and no wider than the screen."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_STILL = """Promise.all(document.getAnimations()
    .filter(animation => animation.effect.getTiming().iterations !== Infinity)
    .map(animation => animation.finished.catch(() => null))).then(() => null)"""
SERIOUS = {"serious", "critical"}
MODERATE = {"landmark-unique"}  # those that we hold too


def assert_accessible(page: Page, state: str) -> None:
    for theme in ("light", "dark"):
        page.get_by_test_id("theme").select_option(theme)
        page.evaluate(_STILL)
        _assert_not_serious(page, f"{state}, {theme}")


def assert_plain_accessible(page: Page, state: str) -> None:
    """Of a page that the server makes, which has the colours of the system."""
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        _assert_not_serious(page, f"{state}, {theme}")
    assert_fits(page)


def _assert_not_serious(page: Page, state: str) -> None:
    serious = [
        f"{violation['id']}: {node['html'][:200]} — {node['failureSummary']}"
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in SERIOUS or violation["id"] in MODERATE
        for node in violation["nodes"]
    ]
    assert not serious, "\n".join((state, *serious))


def assert_fits(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} pixels too wide"
