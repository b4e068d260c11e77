"""Two visitors of one server: with two accounts, and with the same one in two browsers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from support import servers
from support.command import CommandLine, clean_environment
from support.junction import joined
from support.servers import Server
from support.traffic import Traffic
from support.visitor import sign_in

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]
CATALOG = """
schema = 1
[images.says]
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sh -c 'echo $LINE | tee made.txt; ls; sleep $SECONDS'"
[images.says.options.line]
constant = "LINE"
[images.says.options.seconds]
default = "0"
constant = "SECONDS"
"""


class Visitor:
    """Somebody with a browser, an account, and something that is nobody else's business."""

    def __init__(self, page: Page, dashboard: Server, account: LocalCluster, secret: str) -> None:
        self.page, self.account, self.secret = page, account, secret
        self.traffic = Traffic(page.context)
        page.goto(dashboard.address())
        sign_in(page, account.token)
        expect(page.get_by_test_id("account")).to_contain_text(account.email)

    def upload(self, folder: Path) -> None:
        (folder / f"{self.secret}.txt").write_text("x")
        self.page.get_by_test_id("upload").set_input_files(folder / f"{self.secret}.txt")
        expect(self.page.get_by_test_id("upload-list")).to_contain_text("uploaded")

    def start(self, name: str, seconds: str) -> Locator:
        self.page.get_by_test_id("option-line").fill(self.secret)
        self.page.get_by_test_id("option-seconds").fill(seconds)
        self.page.get_by_test_id("more").click()
        self.page.get_by_test_id("name").fill(name)
        expect(self.page.get_by_test_id("start")).to_be_enabled()
        self.page.get_by_test_id("start").click()
        return self.card(name)

    def card(self, name: str) -> Locator:
        return self.page.get_by_test_id(f"session-{name}")


@pytest.fixture(scope="module")
def accounts() -> Iterator[tuple[LocalCluster, LocalCluster]]:
    ada, bob = LocalCluster(), LocalCluster()
    ada.email, bob.email = "ada@example.org", "bob@example.org"
    with ada, bob:
        yield ada, bob


@pytest.fixture(scope="module")
def dashboard(
    accounts: tuple[LocalCluster, LocalCluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("visitors")
    (folder / "images.toml").write_text(CATALOG)
    with joined(accounts) as (api, storage):
        environment = clean_environment(HOME=str(folder), QARNOT_CLUSTER_URL=api, QARNOT_STORAGE_URL=storage)
        with servers.dashboard(CommandLine(folder, environment)) as server:
            yield server


@pytest.fixture
def other_page(browser: Browser) -> Iterator[Page]:
    with contextlib.closing(browser.new_context(locale="en-GB", reduced_motion="reduce")) as context:
        yield context.new_page()


def test_two_accounts_are_strangers_even_with_sessions_of_one_name(
    page: Page, other_page: Page, dashboard: Server, accounts: tuple[LocalCluster, LocalCluster], tmp_path: Path
) -> None:
    visitors = [
        Visitor(page, dashboard, accounts[0], "what-ada-knows"),
        Visitor(other_page, dashboard, accounts[1], "what-bob-knows"),
    ]
    for visitor in visitors:
        expect(visitor.page.get_by_test_id("sessions")).to_have_count(0)
        visitor.upload(tmp_path)
        card = visitor.start("same-name", seconds="0")
        expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=30_000)
        card.get_by_test_id("log").get_by_role("button").click()
        expect(card.get_by_test_id("log-lines")).to_contain_text(f"{visitor.secret}.txt")
        card.get_by_role("button", name="made.txt", exact=True).click()
        expect(card.get_by_test_id("preview")).to_contain_text(visitor.secret)
    for visitor, stranger in zip(visitors, reversed(visitors), strict=True):
        for secret in (stranger.secret, stranger.account.email, stranger.account.token, visitor.account.token):
            assert not visitor.traffic.holds(secret), secret
    other_page.get_by_test_id("change").click()
    expect(other_page.get_by_test_id("sessions")).to_have_count(0)
    expect(visitors[0].card("same-name").get_by_test_id("results")).to_contain_text("made.txt")
    expect(page.get_by_test_id("account")).to_contain_text("ada@example.org")


def test_one_account_in_two_browsers_shares_its_sessions_and_nothing_that_was_entered(
    page: Page, other_page: Page, dashboard: Server, accounts: tuple[LocalCluster, LocalCluster], tmp_path: Path
) -> None:
    one = Visitor(page, dashboard, accounts[0], "in-the-first-browser")
    mine = one.start("shared", seconds="600")
    expect(mine.get_by_test_id("state")).to_contain_text("Running")
    one.upload(tmp_path)
    other = Visitor(other_page, dashboard, accounts[0], "in-the-second-browser")
    theirs = other.card("shared")
    expect(theirs.get_by_test_id("state"), "it is one account").to_contain_text("Running")
    expect(other_page.get_by_test_id("option-line")).to_have_value("")
    expect(other_page.get_by_test_id("upload-list")).to_have_count(0)
    theirs.get_by_test_id("stop").click()
    theirs.get_by_test_id("stop-no-save").click()
    expect(mine.get_by_test_id("state")).to_contain_text("Ended", timeout=30_000)
    other_page.get_by_test_id("change").click()
    expect(other_page.get_by_test_id("token")).to_have_value("")
    expect(page.get_by_test_id("account"), "she stays").to_contain_text("ada@example.org")
    expect(page.get_by_test_id("upload-list")).to_contain_text(one.secret)
    for visitor in (one, other):
        assert not visitor.traffic.holds(accounts[0].token)
    assert not other.traffic.holds(f"{one.secret}.txt")
