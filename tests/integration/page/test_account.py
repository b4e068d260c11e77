"""The account: a token opens it, is seen nowhere, and is forgotten with everything else."""

from __future__ import annotations

import gc
import weakref

import pytest
from support.pages import (
    FORM,
    NAME,
    cards,
    play,
    play_with_account,
    reasons,
    settings_of,
    sign_in,
    start,
    synced,
    tell,
    upload,
)
from support.waiting import turn, until

from qarnot_local import LocalCluster
from run_qarnot.page.build import Page


def test_a_good_token_opens_it_and_is_in_no_trait(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        assert reasons(page) == ["token"]
        await sign_in(page, f" {cluster.token}\n")
        assert page.account_card.trimmed
        assert page.shell.asks_again, "after a reload"
        assert page.account_card.summary["email"] == cluster.email
        assert reasons(page) == []
        assert cluster.token not in synced(page)

    play(scene, settings_of(cluster))


@pytest.mark.parametrize("token", ["wrong-token-1", "", "  ", "two words", "jetön"])
def test_a_bad_one_gets_a_sentence(cluster: LocalCluster, token: str) -> None:
    async def scene(page: Page) -> None:
        tell(page.account_card, "check", {"token": token})
        await until(lambda: page.account_card.problem, "the sentence")
        assert page.account_card.state == "asking"
        assert page.account_card.problem["todo"]
        await sign_in(page, cluster.token)
        assert page.account_card.problem is None

    play(scene, settings_of(cluster))


def test_visitors_are_not_asked_to_mend_the_teams_token(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        page.visitor_arrived("")
        await until(lambda: page.account_card.problem, "the sentence")
        assert "the team's token" in page.account_card.problem["what"]
        assert "operator of this page" in page.account_card.problem["todo"]

    play(scene, settings_of(cluster, "an-old-token"))


@pytest.mark.parametrize("data", [None, {}, {"token": 3}, {"token": ["x"]}, {"token": "x" * 5000}])
def test_hostile_messages_are_dropped(data: object) -> None:
    async def scene(page: Page) -> None:
        tell(page.account_card, "check", data)
        await turn()
        assert page.account_card.state == "asking"

    play(scene)


def test_the_operators_token_needs_no_field(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        page.visitor_arrived("")
        await until(lambda: page.account_card.state == "known", "the account")
        assert page.account_card.preset
        assert not page.shell.asks_again
        assert cluster.token not in synced(page)

    play(scene, settings_of(cluster, cluster.token))


def test_a_page_ahead_of_its_visitor_asks_nobody_until_he_is_there(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        page.shell.preheated = True
        tell(page.shell, "visitor_arrived", {"query": 7})
        await turn()
        assert page.account_card.state == "asking"
        tell(page.shell, "visitor_arrived", {"query": "opt-image=torch"})
        await until(lambda: page.account_card.state == "known", "the account")
        tell(page.shell, "visitor_arrived", {"query": "opt-image=base"})  # once only
        assert page.form.current.image == "torch"

    play(scene, settings_of(cluster, cluster.token))


def test_with_the_operators_token_no_card_is_made_before_the_browser_shows_the_page(cluster: LocalCluster) -> None:
    """A card that is made while the page loads may come out as an error, because it refers to widgets made before."""

    async def earlier(page: Page) -> None:
        await start(page, "sleep 60")
        await until(lambda: cards(page)[NAME].session.view.id, "the session to be on the cluster")

    async def scene(page: Page) -> None:
        page.visitor_arrived("")
        control, route = cluster.control, "/tasks/paginate"
        await until(
            lambda: any(call.status for call in control.calls if call.route == route), "the sessions to be listed"
        )
        assert page.account.current is not None
        for _ in range(2):  # by then the sessions are known
            await page.account.current.profiles()
        assert cards(page) == {}
        tell(page.shell, "ping")
        await until(lambda: NAME in cards(page), "the card")
        assert not page.shell.finding

    play_with_account(earlier, cluster)
    cluster.control.clear_calls()
    play(scene, settings_of(cluster, cluster.token))


def test_change_forgets_everything(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        await sign_in(page, cluster.token)
        control, asked = cluster.control, cluster.control.count("GET", "/info")
        control.delay("/info", 0.3, times=1)
        await start(page, "sleep 60")
        await until(lambda: control.count("GET", "/info") > asked, "the account to be asked anew")
        upload(page.start_card.files, 1, "x", b"abc")
        tell(page.start_card, "form", {**FORM, "resume": "id-old", "hours": "7"})
        tell(page.environment_card, "option", {"name": "command", "value": "a secret of hers"})
        assert page.account.current is not None
        client = weakref.ref(page.account.current.client)
        tell(page.account_card, "change")  # while the answer is on its way
        await until(lambda: gc.collect() >= 0 and client() is None, "the connection and its token to be forgotten")
        assert page.account.current is None
        assert page.account_card.summary is None
        assert cards(page) == {}
        assert page.start_card.files.rows == []
        assert (page.form.current.resume, page.form.current.hours, page.form.current.options) == ("", "4", {})
        assert "a secret of hers" not in synced(page)
        assert page.start_card.resumable == []
        assert reasons(page) == ["token"]

    play(scene, settings_of(cluster))
