"""The page in a real JupyterHub, set up as `docs/deploy.md` says: two users, each with a page closed to the other."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from support.hub import PASSWORD, Hub, hub
from support.lab import run_a_cell
from support.pictures import take_picture
from support.processes import words_of
from support.servers import kernels_below
from support.visitor import open_app, sign_in, start, stop
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.hub]

LARGE = 300_000_000
LINK = "hub/user-redirect/run-qarnot/?opt-image=command&opt-hours=3&opt-command=echo%20hello%20%26%20wait"


@pytest.fixture(scope="module")
def team(cluster: LocalCluster) -> Iterator[Hub]:
    """The hub, with the local cluster in the place of the cloud for everybody."""
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    urls = {"QARNOT_CLUSTER_URL": cluster.cluster_url, "QARNOT_STORAGE_URL": cluster.storage_url}
    with hub(folder, **urls) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def sit_down(browser: Browser, team: Hub) -> Iterator[Callable[[str, str], Page]]:
    """Open an address in a browser of a user's own, who logs in to the hub."""
    contexts = []

    def open_as(user: str, path: str) -> Page:
        context = browser.new_context(locale="en-GB", accept_downloads=True, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(team.url + path)
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page

    yield open_as
    for context in contexts:
        for tab in context.pages:
            tab.goto("about:blank")  # the farewell by which a kernel ends
        context.close()


def wait_for_page(page: Page) -> None:
    """The user's Jupyter server, the page's server and a kernel may have to start."""
    expect(page.get_by_test_id("start")).to_be_visible(timeout=90_000)


def server_of(team: Hub, user: str) -> psutil.Process:
    """The Jupyter server of a user."""
    (found,) = [
        process
        for process in team.processes()
        if "jupyterhub.singleuser" in words_of(process) and process.environ()["JUPYTERHUB_USER"] == user
    ]
    return found


def test_a_link_leads_each_user_to_an_own_page_and_can_be_shared_from_there(
    team: Hub, sit_down: Callable[[str, str], Page], cluster: LocalCluster
) -> None:
    anna = sit_down("anna", LINK)
    wait_for_page(anna)
    assert urlsplit(anna.url).path == "/user/anna/run-qarnot/"
    expect(anna.get_by_test_id("option-command")).to_have_value("echo hello & wait")
    expect(anna.get_by_test_id("hours")).to_have_value("3")
    sign_in(anna, cluster.token)
    take_picture(anna, "hub-page", whole=True)
    anna.get_by_test_id("option-command").fill("echo 50 % & done")
    anna.get_by_test_id("share").last.click()
    shared = anna.get_by_test_id("share-link").inner_text()
    assert shared.startswith(f"{team.url}hub/user-redirect/run-qarnot/?opt-image=command&")
    assert "anna" not in shared

    ben = sit_down("ben", shared.removeprefix(team.url))
    wait_for_page(ben)
    assert urlsplit(ben.url).path == "/user/ben/run-qarnot/"
    expect(ben.get_by_test_id("option-command")).to_have_value("echo 50 % & done")
    expect(ben.get_by_test_id("token"), "the account of the other is not his").to_be_visible()
    take_picture(ben, "hub-second-person", whole=True)


def test_the_page_of_one_user_is_closed_to_the_other(team: Hub, sit_down: Callable[[str, str], Page]) -> None:
    anna = sit_down("anna", "hub/user-redirect/run-qarnot/")
    wait_for_page(anna)
    kernel = anna.evaluate("document.body.dataset.kernelId")
    ben = sit_down("ben", "hub/user-redirect/run-qarnot/")
    wait_for_page(ben)
    before = kernels_below(server_of(team, "anna"))
    assert len(before) >= 1
    for path in ("", "healthz", f"api/kernels/{kernel}"):
        status = ben.evaluate(
            "path => fetch(path, {redirect: 'manual'}).then(answer => answer.status)", f"/user/anna/run-qarnot/{path}"
        )
        assert status == 403, path
    opened = ben.evaluate(
        """address => new Promise(done => {
            const socket = new WebSocket(address)
            socket.onopen = () => done(true)
            socket.onerror = () => done(false)
        })""",
        f"{team.url.replace('http', 'ws', 1)}user/anna/run-qarnot/api/kernels/{kernel}/channels",
    )
    assert not opened
    answer = ben.goto(f"{team.url}user/anna/run-qarnot/")
    assert answer is not None
    assert answer.status == 403
    assert kernels_below(server_of(team, "anna")) == before


def test_the_tile_in_the_launcher_of_jupyterlab_opens_the_page(sit_down: Callable[[str, str], Page]) -> None:
    anna = sit_down("anna", "hub/user-redirect/lab")
    tile = anna.locator(".jp-LauncherCard", has_text="Run Qarnot")
    with anna.expect_popup() as popup:
        tile.click()
    page = popup.value
    wait_for_page(page)
    assert urlsplit(page.url).path == "/user/anna/run-qarnot/"


def test_kernels_end_with_their_pages(team: Hub, sit_down: Callable[[str, str], Page]) -> None:
    anna = sit_down("anna", "hub/user-redirect/run-qarnot/")
    wait_for_page(anna)
    server = server_of(team, "anna")
    first = anna.evaluate("document.body.dataset.kernelId")
    wait_until(lambda: len(kernels_below(server)) == 1, "kernels of other pages to end")
    anna.reload()
    wait_for_page(anna)
    assert anna.evaluate("document.body.dataset.kernelId") != first
    wait_until(lambda: len(kernels_below(server)) == 1, "the kernel of before to end")
    anna.goto("about:blank")
    wait_until(lambda: not kernels_below(server), "the last kernel to end")


def test_a_session_is_used_through_hub_server_page_and_tunnel(
    team: Hub, sit_down: Callable[[str, str], Page], cluster: LocalCluster
) -> None:
    """A cell runs in the session's JupyterLab, by websockets through the hub's proxy, the page's, and SSH."""
    anna = sit_down("anna", "hub/user-redirect/run-qarnot/?opt-image=base")
    wait_for_page(anna)
    sign_in(anna, cluster.token)
    card = start(anna, "in-the-hub", 90_000)
    lab = open_app(anna, card)
    run_a_cell(lab)
    take_picture(lab, "hub-cell")
    assert lab.url.startswith(f"{team.url}user/anna/run-qarnot/rq-")
    address = urlsplit(lab.url).path

    ben = sit_down("ben", "hub/user-redirect/run-qarnot/")
    wait_for_page(ben)
    for path, status in ((address, 403), (address.replace("/anna/", "/ben/"), 503)):  # his server knows no such session
        answer = ben.goto(team.url.rstrip("/") + path)
        assert answer is not None
        assert answer.status == status, path
    lab.goto("about:blank")
    stop(card)


def test_large_files_go_both_ways_and_no_server_holds_them(
    team: Hub, sit_down: Callable[[str, str], Page], cluster: LocalCluster, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    block = os.urandom(1_000_000)
    with large.open("wb") as file:
        for _ in range(LARGE // len(block)):
            file.write(block)
    anna = sit_down("anna", "hub/user-redirect/run-qarnot/?opt-image=command&opt-command=mv%20large.bin%20back.bin")
    wait_for_page(anna)
    sign_in(anna, cluster.token)
    server = server_of(team, "anna")
    before = server.memory_info().rss
    anna.get_by_test_id("upload").set_input_files(large)
    expect(anna.get_by_test_id("upload-list")).to_contain_text("large.bin")
    anna.get_by_test_id("more").click()
    anna.get_by_test_id("name").fill("large-files")
    expect(anna.get_by_test_id("start")).to_be_enabled(timeout=150_000)
    anna.get_by_test_id("start").click()
    card = anna.get_by_test_id("session-large-files")
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=120_000)
    with anna.expect_download(timeout=120_000) as download:
        card.get_by_test_id("download").click()
    path = download.value.path()
    with zipfile.ZipFile(path) as archive, io.BufferedReader(archive.open("back.bin")) as back:  # type: ignore[type-var]
        assert hashlib.file_digest(back, "sha256").digest() == hashlib.sha256(large.read_bytes()).digest()
    assert server.memory_info().rss - before < 64_000_000
