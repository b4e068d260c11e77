"""How a session will be opened: said by the form before it is started, and asked about where this page cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.pages import FORM, play_with_account, reasons, tell
from support.waiting import turn

from qarnot_local import LocalCluster
from run_qarnot.core.errors import SessionError
from run_qarnot.model.expected_connection import SshOut, Surroundings
from run_qarnot.page.build import Page
from run_qarnot.page.controllers.entry import EntryController
from run_qarnot.page.viewmodel import Form

WALLED = Surroundings(is_elsewhere=True, ssh_out=SshOut.BLOCKED)
LAB = "old"  # a JupyterLab
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2vTn0Q0yuPOtbKFbfWkHvGnsqk1C0Xv6w1w3T3XK0O anna"


def say(page: Page, around: Surroundings, image: str = LAB) -> None:
    """Have the page know this of its surroundings, and an image chosen."""
    entry: EntryController = page.entry
    entry.around = around
    tell(page.environment_card, "choose", {"id": image})
    page.form.show_blockers()


def test_what_this_page_cannot_open_is_started_only_after_a_yes(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        say(page, WALLED)
        assert page.start_card.entry == {"kind": "own_computer", "asks": True, "agreed": False}
        assert reasons(page) == ["entry"]
        tell(page.start_card, "start", FORM)
        await turn()
        assert cluster.control.count("POST", "/tasks") == 0
        tell(page.start_card, "agree", {"agreed": True})
        assert page.start_card.entry["agreed"]
        assert reasons(page) == []
        tell(page.start_card, "agree", {"agreed": False})
        assert reasons(page) == ["entry"]

    play_with_account(scene, cluster)


def test_a_key_of_ones_own_is_an_answer_too(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        say(page, WALLED)
        tell(page.start_card, "form", {**FORM, "key": KEY})
        assert reasons(page) == []
        assert page.start_card.entry["kind"] == "own_computer", "it stays true"

    play_with_account(scene, cluster)


def test_each_reason_is_asked_about_and_a_batch_is_not(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        say(page, WALLED)
        tell(page.start_card, "agree", {"agreed": True})
        say(page, replace(WALLED, is_elsewhere=False))
        assert page.start_card.entry["kind"] == "other_network"
        assert reasons(page) == ["entry"], "another thing than what was agreed to"
        say(page, WALLED, "base")
        assert page.start_card.entry["kind"] == ""
        assert reasons(page) == []
        say(page, replace(WALLED, ssh_out=SshOut.UNKNOWN))
        assert page.start_card.entry == {"kind": "unsure", "asks": False, "agreed": False}
        assert reasons(page) == []
        say(page, replace(WALLED, ssh_out=SshOut.OPEN))
        assert page.start_card.entry["kind"] == ""

    play_with_account(scene, cluster)


def test_another_account_is_asked_again(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        say(page, WALLED)
        tell(page.start_card, "agree", {"agreed": True})
        tell(page.account_card, "change")
        assert page.start_card.entry["kind"] == "", "nothing can be started"
        assert page.entry.around == Surroundings(is_elsewhere=True)
        assert not page.entry._agreed

    play_with_account(scene, cluster)


def test_the_same_again_is_not_started_without_having_been_asked_about(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        say(page, WALLED)
        with pytest.raises(SessionError, match="calm-heron"):
            page.entry.check(Form(image=LAB), "calm-heron")
        page.entry.check(Form(image="base"), "calm-heron")
        tell(page.start_card, "agree", {"agreed": True})
        page.entry.check(Form(image=LAB), "calm-heron")

    play_with_account(scene, cluster)


def test_a_cluster_on_this_computer_is_reached(cluster: LocalCluster) -> None:
    async def scene(page: Page) -> None:
        assert page.entry.around == Surroundings(is_elsewhere=False, ssh_out=SshOut.OPEN)

    play_with_account(scene, cluster)
