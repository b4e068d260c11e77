"""When a session was saved last: asked of the storage when it matters, since saves come without anybody telling."""

from __future__ import annotations

import asyncio

from support.pages import NAME, play_with_account, shows, start, tell
from support.waiting import until

from qarnot_local import LocalCluster
from run_qarnot.core.state import State
from run_qarnot.page.build import Page
from run_qarnot.page.components.session import SessionCard


async def runs_and_was_asked(page: Page) -> SessionCard:
    card = await start(page, "echo work > made.txt; echo written; sleep 60")
    await shows(card, State.READY)
    await until(lambda: card.view["saved_asked"] is not None, "the storage to be asked for the first time")
    lines: list[str] = []
    card.session.subscribe_log(lines.extend)
    await until(lambda: "written" in lines, "there to be something to save")
    assert card.view["saved"] is None
    return card


def test_a_save_that_somebody_else_made_is_known_to_who_asks_whether_to_stop(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await runs_and_was_asked(page)
        assert page.account.current is not None
        await (await page.account.current.find(NAME)).save()
        assert card.view["saved"] is None, "nobody has told this page"
        tell(card, "look")
        await until(lambda: card.view["saved"] is not None, "the save of somebody else")

    play_with_account(scene, cluster)


def test_a_storage_that_does_not_answer_leaves_open_whether_it_was_saved(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await runs_and_was_asked(page)
        before = card.view["saved_asked"]
        with cluster.control.expecting():
            cluster.control.fail_next("GET", "s3:ListObjects", status=503, times=3)
            tell(card, "look")
            assert card._looking is not None
            await until(card._looking.done, "the answer")
        assert card.view["saved_asked"] == before
        assert card.problem is None
        cluster.control.reset()

    play_with_account(scene, cluster)


def test_an_own_save_is_not_forgotten_for_older_files(cluster: LocalCluster) -> None:
    """What has not changed is not sent again, so its date in the storage stays."""

    async def scene(page: Page) -> None:
        card = await runs_and_was_asked(page)
        for _twice in range(2):
            await card.session.save()
        saved = card.session.view.saved
        assert (await card.session.look_for_saves()).saved == saved
        assert (await card.session.detail()).saved == saved

    play_with_account(scene, cluster)


def test_an_own_save_is_not_forgotten_for_an_answer_that_was_on_its_way(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        card = await start(page, "sleep 60")  # nothing of it is in the storage
        await shows(card, State.READY)
        await until(lambda: card.view["saved_asked"] is not None, "the storage to be asked for the first time")
        cluster.control.delay("s3:ListObjects", 2, times=2)
        asking = [asyncio.ensure_future(ask()) for ask in (card.session.look_for_saves, card.session.detail)]
        await card.session.save()
        assert not any(each.done() for each in asking)
        saved = card.session.view.saved
        assert saved is not None
        await asyncio.gather(*asking)
        assert card.session.view.saved == saved

    play_with_account(scene, cluster)
