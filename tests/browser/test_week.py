"""A scientist's week in a real browser, on the local cluster: one session that lasts; at the end nothing is left."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, expect
from qarnot.connection import Connection
from support import servers
from support.command import CommandLine
from support.jupyter import Jupyter
from support.ports import free_port
from support.servers import Server
from support.waiting import wait_until
from support.wheels import cluster_with, make_wheel

from qarnot_local import LocalCluster
from run_qarnot.bootstrap import REMOVED

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(500)]

READY, ENDED = "Ready", "Ended"
VERSION = "import moo_of_the_test; print(moo_of_the_test.version)"
RECORDED = f"""
import pathlib, time
file = pathlib.Path('{REMOVED}')
while not file.exists() or 'old.csv' not in file.read_text(): time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    wheels = tmp_path_factory.mktemp("wheels")
    make_wheel(wheels, "moo-of-the-test")
    with cluster_with(wheels) as cluster:
        yield cluster


@pytest.fixture
def dashboard(cluster: LocalCluster, tmp_path: Path) -> Iterator[Server]:
    """A page that knows no account: whoever comes brings the token."""
    port = free_port()
    listing = f"sh -c 'until python3 -m http.server --bind 127.0.0.1 {port}; do sleep 0.1; done'"
    catalog = tmp_path / "images.toml"
    catalog.write_text(
        f"""
        schema = 1
        [defaults]
        profile = "docker-network-ssh"
        [images.lab]
        title = "A laboratory"
        repo = "qarnotlab/jupyterlab-base"
        [images.listing]
        title = "A listing"
        repo = "library/debian"
        app = "web"
        port = {port}
        command = "{listing}"
        """
    )
    with servers.dashboard(CommandLine.at(cluster, tmp_path, RUN_QARNOT_IMAGES=str(catalog))) as server:
        yield server


@pytest.fixture
def account(cluster: LocalCluster) -> Connection:
    return Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)


def sign_in(page: Page, dashboard: Server, token: str, query: str = "") -> None:
    page.goto(dashboard.address(query))
    page.get_by_test_id("token").fill(token)
    page.get_by_test_id("token").press("Enter")
    expect(page.get_by_test_id("account")).to_be_visible()


def shows(card: Locator, state: str) -> None:
    expect(card.get_by_test_id("state")).to_contain_text(state, timeout=90_000)


def jupyter_of(card: Locator) -> Jupyter:
    shows(card, READY)
    expect(card.get_by_test_id("open")).to_be_visible()
    jupyter = Jupyter(card.get_by_test_id("open").get_attribute("href") or "")
    wait_until(jupyter.answers, "JupyterLab by the card's own link", 60)
    return jupyter


def go_on(card: Locator, **changes: str) -> None:
    """Continue with other settings."""
    card.get_by_test_id("continue-change").click()
    for name, value in changes.items():
        field = card.get_by_test_id(f"continue-{name}")
        field.select_option(value) if name == "image" else field.fill(value)
    card.get_by_test_id("continue-confirm").click()


def stop(card: Locator) -> None:
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").click()
    shows(card, ENDED)


def delete(card: Locator) -> None:
    """With its files."""
    if card.get_by_test_id("unfold").get_attribute("aria-expanded") == "false":
        card.get_by_test_id("unfold").click()
    card.get_by_test_id("delete").click()
    card.get_by_test_id("delete-files").check()
    card.get_by_test_id("delete-confirm").click()
    expect(card).to_have_count(0)


def stored_by(account: Connection) -> set[str]:
    """The names of all buckets."""
    return {bucket["Name"] for bucket in account.s3client.list_buckets()["Buckets"]}


def test_a_week(
    page: Page, browser: Browser, dashboard: Server, cluster: LocalCluster, account: Connection, tmp_path: Path
) -> None:
    data = {"data.bin": os.urandom(50_000), "old.csv": b"old\n"}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    made = os.urandom(70_000)

    # Monday: files, a package, work
    sign_in(page, dashboard, cluster.token, "opt-image=lab&opt-hours=8")
    page.get_by_test_id("upload").set_input_files([tmp_path / name for name in data])
    expect(page.get_by_test_id("upload-list")).to_contain_text("old.csv")
    page.get_by_test_id("idle").fill("0.5")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("week")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-week")
    jupyter = jupyter_of(card)
    jupyter.run("!pip install --quiet moo-of-the-test")
    jupyter.write_notebook("work.ipynb", VERSION)
    with page.expect_popup() as popup:
        card.get_by_test_id("open").click()
    lab = popup.value
    expect(lab.get_by_text("work.ipynb").first).to_be_visible(timeout=60_000)
    jupyter.remove("old.csv")
    assert jupyter.run(f"open('made.bin', 'wb').write(bytes.fromhex('{made.hex()}'))\n{RECORDED}") == ""

    # the laptop is closed: nobody looks, and it stops by itself
    page.close()
    wait_until(lambda: [task.state for task in account.all_tasks()] == ["Success"], "the idle stop", 120)

    # Tuesday: another browser, and nothing but the token
    context = browser.new_context(locale="en-GB", accept_downloads=True, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    sign_in(page, dashboard, cluster.token)
    card = page.get_by_test_id("session-week")
    shows(card, ENDED)
    expect(card.get_by_test_id("summary")).to_contain_text("idle for 0.5 min")
    go_on(card, hours="2", idle="60")
    tuesday = jupyter_of(card)
    assert tuesday.address == jupyter.address
    assert {"data.bin", "made.bin", "work.ipynb"} <= set(tuesday.names())
    assert "old.csv" not in tuesday.names()
    assert tuesday.run(VERSION) == "1.0\n"
    lab.reload()
    expect(lab.get_by_text("work.ipynb").first, "the tab that was open all the time").to_be_visible(timeout=60_000)
    tuesday.write("tuesday.txt", "saved")
    card.get_by_test_id("save").click()
    expect(card.get_by_test_id("toast")).to_be_visible()
    cluster.control.preempt(next(task.uuid for task in account.all_tasks() if task.state != "Success"))
    expect(card).to_contain_text("machine no. 2", timeout=60_000)
    assert jupyter_of(card).read("tuesday.txt") == "saved"
    assert "old.csv" not in tuesday.names()

    # more hours
    card.get_by_test_id("more-hours").click()
    card.get_by_test_id("more-hours-field").fill("4")
    card.get_by_test_id("more-hours-confirm").click()
    wait_until(lambda: len(list(account.all_tasks())) == 3, "the third run", 60)
    assert jupyter_of(card).address == jupyter.address
    stop(card)

    # Wednesday: another image
    go_on(card, image="listing")
    shows(card, READY)
    expect(card).to_contain_text("A listing")
    expect(card.get_by_test_id("open")).to_have_text("Open the application")
    stop(card)

    # Thursday: a copy for a colleague
    card.get_by_test_id("again").click()
    if not page.get_by_test_id("name").is_visible():
        page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("for-ada")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    copy = page.get_by_test_id("session-for-ada")
    shows(copy, READY)
    given = {each.key for each in account.retrieve_bucket("for-ada-in").list_files()}
    assert {"data.bin", "made.bin", "work.ipynb", "tuesday.txt"} <= given
    assert "old.csv" not in given
    stop(copy)

    # Friday: the results, complete; then nothing is left
    downloads: list[Download] = []
    page.on("download", lambda each: downloads.append(each))  # Playwright takes no built-in function
    with page.expect_download() as download:
        card.get_by_test_id("download").click()
    download.value.save_as(tmp_path / "week.zip")
    assert len(downloads) == 1, "also after the card has moved"
    account.retrieve_bucket("week-out").get_all_files(str(tmp_path / "stored"))
    stored = {path.relative_to(tmp_path / "stored") for path in (tmp_path / "stored").rglob("*") if path.is_file()}
    with zipfile.ZipFile(tmp_path / "week.zip") as archive:
        assert archive.testzip() is None
        assert {Path(name) for name in archive.namelist()} == stored
        assert all(archive.read(str(path)) == (tmp_path / "stored" / path).read_bytes() for path in stored)
        assert archive.read("made.bin") == made
        assert archive.read("tuesday.txt") == b"saved"
    delete(copy)
    expect(card, "a copy is independent").to_be_visible()
    assert stored_by(account) == {"week-in", "week-out"}
    delete(card)
    assert list(account.all_tasks()) == []
    assert stored_by(account) == set()
    context.close()
