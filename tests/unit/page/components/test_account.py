"""Card 1: the token comes as an event."""

from __future__ import annotations

import asyncio
from typing import Any

from support.pages import tell
from support.waiting import turn

from run_qarnot.page.background import Background
from run_qarnot.page.components.account import AccountCard


def test_a_token_is_passed_on_and_kept_in_no_trait(page: Any, tasks: Background) -> None:
    async def scene() -> AccountCard:
        card = AccountCard(page, tasks)
        for data in ({"token": "secret-token"}, {"token": "x" * 5000}, {"token": 3}):
            tell(card, "check", data)
        tell(card, "try_here")
        tell(card, "change")
        await turn()
        await turn()
        return card

    card = asyncio.run(scene())
    assert sorted(page.calls) == [("check_token", ("secret-token",)), ("forget", ()), ("try_here", ())]
    assert "secret-token" not in str(card.get_state())
    assert card.problem is None


def test_an_account_is_given_when_nobody_typed_its_token(page: Any, tasks: Background) -> None:
    card = AccountCard(page, tasks)
    assert not card.is_given
    card.preset = True
    assert card.is_given
    card.preset, card.trying = False, True
    assert card.is_given
