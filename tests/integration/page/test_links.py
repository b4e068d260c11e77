"""Launch links, come in and shared."""

from __future__ import annotations

import pytest
from support.pages import FORM, NAME, cards, play, play_with_account, settings_of, sign_in, start, synced, tell

from qarnot_local import LocalCluster
from run_qarnot.page.build import Page


def test_a_link_fills_the_form_and_starts_nothing(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        page.form.fill("opt-image=torch&opt-workers=3&opt-hours=2&opt-secret=hunter2-hunter2&token=abcdefgh")
        await sign_in(page, cluster.token)
        assert page.environment_card.chosen == "torch"
        assert page.form.current.options == {"workers": "3"}
        assert page.start_card.draft["hours"] == "2"
        assert page.shell.link["token"]
        assert page.shell.link["erase"] == ["token", "opt-secret"]
        assert len(page.shell.link["ignored"]) == 1
        assert "hunter2" not in synced(page)
        assert "abcdefgh" not in synced(page)
        assert cluster.control.count("POST", "/tasks") == 0
        assert cards(page) == {}

    play(scene, settings_of(cluster))


def test_a_link_that_names_no_image_fills_in_the_one_that_is_chosen() -> None:
    async def scene(page: Page) -> None:
        page.form.fill("opt-hours=3&opt-name=x")
        assert page.form.current.image == "base"
        assert page.start_card.draft["hours"] == "3"
        assert [field["value"] for field in page.shell.link["filled"]] == ["A command", "3"]
        page.form.fill("opt-image=old&opt-hours=18:30&opt-name=x")
        time, name = page.shell.link["ignored"]
        assert "a time of day" in time
        assert name == "The image “old” has no option “name”. It has none."

    play(scene)


def test_an_ordinary_address_fills_nothing() -> None:
    async def scene(page: Page) -> None:
        page.form.fill("utm_source=mail")
        assert page.shell.link is None
        assert page.form.current.image == "base"

    play(scene)


def test_sharing_the_form_gives_what_is_typed_without_secrets() -> None:
    async def scene(page: Page) -> None:
        share = page.start_card.share
        tell(page.environment_card, "choose", {"id": "torch"})
        tell(page.environment_card, "option", {"name": "workers", "value": "4"})
        tell(page.environment_card, "option", {"name": "secret", "value": "hunter2-hunter2"})
        tell(share, "make", {"address": "https://page.example.org/"})
        assert share.shared["link"] == "https://page.example.org/?opt-image=torch&opt-hours=2&opt-workers=4"
        assert share.shared["badge"].endswith(f"]({share.shared['link']})")
        tell(page.start_card, "form", {**FORM, "hours": "1.7618"})  # until 18:30, say
        tell(share, "make", {"address": "https://page.example.org/"})
        assert "&opt-hours=1.7&" in share.shared["link"]
        tell(page.environment_card, "option", {"name": "workers", "value": "99"})
        assert share.shared is None, "what was shared is not true any more"
        tell(share, "make", {"address": "https://page.example.org/"})
        assert "99" in share.problem["what"]

    play(scene)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "", 3, None, "x" * 9000])
def test_only_a_web_address_is_shared(address: object) -> None:
    async def scene(page: Page) -> None:
        tell(page.start_card.share, "make", {"address": address})
        assert page.start_card.share.shared is None

    play(scene)


def test_an_old_session_is_shared_with_its_image_hours_and_options(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        started = await start(page, "sleep 61", hours="3")
        await started.session.until(lambda view: bool(view.id))
        parts = (started.share, started.results, started.panels)
        assert [part.session for part in parts] == [NAME] * 3, "their landmarks are called after it"
        tell(started.share, "make", {"address": "http://localhost:8866/"})
        assert "&opt-command=sleep%2061" in started.share.shared["link"], "this page knows what was typed"
        tell(page.account_card, "change")
        await sign_in(page, cluster.token)
        share = cards(page)[NAME].share
        tell(share, "make", {"address": "http://localhost:8866/"})
        assert share.shared["link"] == "http://localhost:8866/?opt-image=base&opt-hours=3&opt-command=sleep%2061"

    play_with_account(scene, cluster)
