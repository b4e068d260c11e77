"""What a start costs is said before it, as far as the account's own runs tell."""

from __future__ import annotations

import pytest
from support.pages import FORM, play_with_account, reasons, shows, start, tell
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.engine import price_estimate
from run_qarnot.model import price
from run_qarnot.page.build import Page


def test_the_price_is_that_of_earlier_runs_of_the_image_on_that_hardware(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (price, price_estimate):
        monkeypatch.setattr(module, "LEAST_SECONDS", 1.0)

    async def scene(page: Page) -> None:
        card = page.start_card
        assert (card.price["per_hour"], card.price["left"]) == (None, "50.00 €")
        await shows(await start(page, "sleep 2", name="first"), State.ENDED)
        await until(lambda: card.price["per_hour"], "the price")
        tell(card, "form", {**FORM, "hours": "4"})
        per_hour, most = (float(card.price[name].split()[0]) for name in ("per_hour", "most"))
        assert per_hour > 0
        assert most == pytest.approx(4 * per_hour, abs=0.03)
        tell(card, "form", {**FORM, "hours": "4", "cores": "1"})
        assert card.price["per_hour"] is None, "of other hardware nothing is known"
        tell(page.environment_card, "choose", {"id": "torch"})
        tell(card, "form", FORM)
        assert card.price["per_hour"] is None, "nor of another image"

    play_with_account(scene, cluster)


def test_a_start_that_the_credits_cannot_pay_is_blocked(cluster: LocalCluster) -> None:
    cluster.control.set_quota("credits", 0)

    async def scene(page: Page) -> None:
        assert reasons(page) == ["token"]
        assert page.start_card.blockers[0]["text"] == "The account has no credits left."

    play_with_account(scene, cluster)
