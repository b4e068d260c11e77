"""Card 3: what is typed reaches the form, and a private key does not stay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pages import FORM, record, tell
from support.waiting import turn

from run_qarnot.page.background import Background
from run_qarnot.page.components.start import StartCard
from run_qarnot.page.uploads import Uploads

PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture
def card(page: Any, tasks: Background, tmp_path: Path) -> Iterator[StartCard]:
    uploads = Uploads(tmp_path)
    yield StartCard(page, tasks, uploads)
    uploads.close()


def events(card: StartCard, *sent: tuple[str, Any]) -> None:
    async def scene() -> None:
        for name, data in sent:
            tell(card, name, data)
        await turn()
        await turn()

    asyncio.run(scene())


def test_what_is_typed_is_the_form(card: StartCard, page: Any) -> None:
    events(card, ("form", FORM), ("form", {**FORM, "hours": 3}), ("form", {"name": "a"}))
    assert page.calls == [("set_texts", (FORM,))], "a form with a field of another kind, or without one, is dropped"


def test_start_takes_the_form_along(card: StartCard, page: Any) -> None:
    events(card, ("start", FORM))
    assert page.calls == [("set_texts", (FORM,)), ("start", ())]


def test_a_private_key_is_erased_and_said(card: StartCard, page: Any) -> None:
    calls = record(card)
    events(card, ("start", {**FORM, "key": PRIVATE_KEY}))
    assert page.calls == [("set_texts", ({**FORM, "key": ""},))], "nothing starts"
    assert calls[0] == ("erase_key", [])
    assert card.problem["field"] == "ssh-key"
    assert "abc" not in str(card.get_state())


def test_options_are_asked_for_when_somebody_looks(card: StartCard, page: Any) -> None:
    assert not card.looked
    events(card, ("look", None))
    assert card.looked
    assert page.calls == [("offer_choices", ())]


def test_the_browser_takes_over_the_fields_that_are_named(card: StartCard) -> None:
    card.show_draft(FORM, only=["hours"])
    assert card.draft == {**FORM, "only": ["hours"], "usual": False, "preset": False}
    assert card.revision == 1


def test_a_link_is_made_for_the_form_as_it_is(card: StartCard, page: Any) -> None:
    tell(card.share, "make", {"address": "https://example.org/"})
    assert card.share.shared["link"] == "https://example.org/?opt-image=a"
    assert page.calls == [("share", ("https://example.org/",))]
