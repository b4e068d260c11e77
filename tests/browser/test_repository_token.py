"""The token of a private repository: typed into the page, used once, and kept by neither the browser nor the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support import servers
from support.accessibility import assert_accessible, assert_fits
from support.command import CommandLine
from support.git_server import make_repository, serving
from support.servers import Server, files_with
from support.traffic import Traffic
from support.web_server import web_server

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]
TOKEN = "token-of-a-private-repository-0123"


@pytest.fixture
def dashboard(cluster: LocalCluster, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "home").mkdir()
    with servers.dashboard(CommandLine.of_account(cluster, tmp_path / "home")) as server:
        yield server


def test_the_token_is_used_once_and_kept_nowhere(page: Page, dashboard: Server, tmp_path: Path) -> None:
    traffic = Traffic(page.context)
    make_repository(tmp_path / "git" / "project.git", {"data.csv": "x"})
    with serving(tmp_path / "git", TOKEN) as address, web_server(files={"data.bin": bytes(1_234_000)}) as web:
        page.goto(dashboard.address(f"opt-image=command&opt-command=cat project/data.csv&opt-git={address}project.git"))
        expect(page.get_by_test_id("start")).to_be_enabled(timeout=60_000)
        field = page.get_by_test_id("git-token")
        assert field.get_attribute("type") == "password"
        field.fill(TOKEN)

        # pasted lines are addresses of their own; a wrong one stays to be put right
        page.get_by_test_id("address").fill(web.url("nothing"))
        page.get_by_test_id("address-add").click()
        expect(page.get_by_test_id("upload-error")).to_contain_text("There is no file at")
        expect(page.get_by_test_id("address")).to_have_value(web.url("nothing"))
        page.get_by_test_id("address").fill(web.url("data.bin"))
        page.get_by_test_id("address").press("Enter")
        expect(page.get_by_test_id("upload-list")).to_contain_text("1.2 MB")
        expect(page.get_by_test_id("address")).to_have_value("")

        page.get_by_test_id("more").click()
        page.get_by_test_id("preset-name").fill("mine")
        page.get_by_test_id("preset-save").click()
        expect(page.get_by_test_id("preset")).to_have_value("mine")
        page.get_by_test_id("share").last.click()
        expect(page.get_by_test_id("share-link")).to_contain_text("opt-git=")
        page.set_viewport_size({"width": 360, "height": 740})
        assert_fits(page)
        assert_accessible(page, "a form with a repository and a file of the web")
        page.get_by_test_id("name").fill("private")
        page.get_by_test_id("start").click()
        card = page.get_by_test_id("session-private")
        expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
        expect(field).to_have_value("")
        card.get_by_test_id("continue-change").click()
        expect(card.get_by_text("Update “project” first.")).to_be_visible()
        expect(card.get_by_test_id("continue-update")).not_to_be_checked()
        card.get_by_test_id("continue-cancel").click()
        card.get_by_test_id("share").click()
        expect(card.get_by_test_id("share-link")).to_contain_text("opt-git=")

    kept = page.evaluate(
        "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie])"
    )
    assert "opt-git" in kept, "the preset is kept"
    assert TOKEN not in kept
    assert TOKEN not in page.content()
    assert TOKEN not in page.url
    assert not traffic.holds(TOKEN), "no server sends it back"
    assert TOKEN not in dashboard.printed
    assert files_with(TOKEN, tmp_path / "home") == []
