"""Images for a GPU are offered to accounts that have one of their profiles."""

from __future__ import annotations

import pytest
from support import pages
from support.pages import play, settings_of, sign_in, tell
from support.waiting import turn, until

from qarnot_local import LocalCluster
from run_qarnot.page.build import Page

PROFILE = "docker-nvidia-bi-a6000-network-ssh"
ENTRY = {"title": "Deep learning", "repo": "jupyter/pytorch-notebook", "start": "bundled", "profile": PROFILE}


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pages.ENTRIES, "gpu", ENTRY | {"hardware": {"gpu": True}})


def offered(page: Page) -> list[str]:
    return [row["id"] for row in page.environment_card.images]


def test_they_are_offered_once_the_account_is_known_to_have_the_profile(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        assert offered(page) == ["base", "torch"]
        tell(page.environment_card, "search", {"text": "deep", "category": ""})
        assert offered(page) == []
        tell(page.environment_card, "search", {"text": "", "category": ""})
        await sign_in(page, cluster.token)
        await until(lambda: "gpu" in offered(page), "the image for a GPU")
        await until(lambda: "gpu" in page.environment_card.not_here, "that this computer has none")
        tell(page.account_card, "change")
        assert offered(page) == ["base", "torch"]

    play(scene, settings_of(cluster))


def test_another_account_does_not_see_them_but_by_a_link(cluster: LocalCluster) -> None:
    cluster.control.fail_next("GET", "/profiles", status=200, body=["docker-batch", "docker-network-ssh"], times=None)

    async def scene(page: Page) -> None:
        page.visitor_arrived("opt-image=gpu")
        await sign_in(page, cluster.token)
        for _ in range(3):
            await turn()
        assert page.environment_card.chosen == "gpu"
        tell(page.environment_card, "choose", {"id": "base"})
        tell(page.environment_card, "search", {"text": "", "category": ""})
        assert offered(page) == ["base", "torch"]

    play(scene, settings_of(cluster))
