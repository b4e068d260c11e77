"""The environment card: a screenful at most, however many images there are."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from support.pages import NOWHERE, catalog, end, make_page, tell

from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.page import guard
from run_qarnot.page.build import Page
from run_qarnot.page.components.environment import MANY, MOST_SHOWN, EnvironmentCard
from run_qarnot.page.controllers.account import open_account
from run_qarnot.page.downloads import Downloads


def card_of(number: int) -> EnvironmentCard:
    guard.install()
    images = {
        f"image-{n}": Image(id=f"image-{n}", title=f"Title {n}", category=f"Kind {n % 3}", hidden=n == 1)
        for n in range(number)
    }
    card = Page(NOWHERE, Catalog(), open_account, Downloads(None)).environment_card
    card.show(Catalog(images))
    return card


def shown(card: EnvironmentCard) -> list[str]:
    return [row["id"] for row in card.images]


def test_few_are_all_shown_without_a_search() -> None:
    card = card_of(MANY)  # one of them is hidden
    assert len(shown(card)) == MANY - 1
    assert not card.many


def test_many_can_be_searched_and_sorted_by_category() -> None:
    card = card_of(100)
    assert card.many
    assert card.categories == ["Kind 0", "Kind 2", "Kind 1"], "in the order of the catalog"
    assert len(shown(card)) == MOST_SHOWN
    assert card.found == 99
    tell(card, "search", {"text": "title 42", "category": ""})
    assert shown(card) == ["image-42"]
    tell(card, "search", {"text": "title 42", "category": "Kind 1"})
    assert shown(card) == []
    tell(card, "search", {"text": "", "category": "Kind 2"})
    assert shown(card)[:2] == ["image-2", "image-5"]


def test_hidden_ones_are_not_found_but_shown_when_chosen() -> None:
    card = card_of(100)
    tell(card, "search", {"text": "image-1", "category": ""})
    assert "image-1" not in shown(card)
    card.choose(Image(id="image-1"))
    assert shown(card)[0] == "image-1"


def test_hostile_searches_are_dropped() -> None:
    card = card_of(100)
    for data in (None, {}, {"text": 3, "category": ""}, {"text": "x" * 201, "category": ""}, {"text": "x"}):
        tell(card, "search", data)
    assert len(shown(card)) == MOST_SHOWN


def test_ten_thousand_are_searched_within_a_key_stroke() -> None:
    card = card_of(10_000)
    seconds = []
    for text in ("t", "ti", "title 9", "title 99", "nothing like it", "", "kind 1"):
        started = time.process_time()
        tell(card, "search", {"text": text, "category": ""})
        seconds.append(time.process_time() - started)
    assert median(seconds) < 0.05


def test_a_page_offers_what_is_not_hidden() -> None:
    async def whole() -> None:
        page = make_page()
        try:
            assert shown(page.environment_card) == ["base", "torch"]
            assert [row["title"] for row in page.environment_card.broken] == ["broken"]
        finally:
            await end(page)

    asyncio.run(whole())
    assert "old" in catalog().images
