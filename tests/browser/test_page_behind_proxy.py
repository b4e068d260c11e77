"""The whole page under a path of its own: directly, and behind a real nginx where TLS ends."""

from __future__ import annotations

import contextlib
import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from qarnot.connection import Connection
from support.chromium import ARGUMENTS, chromium
from support.command import CommandLine
from support.lab import run_a_cell
from support.nginx import FORWARDED, NO_HOST, nginx
from support.pictures import take_picture
from support.ports import free_port
from support.servers import Server, kernels, running
from support.visitor import open_app, start, stop
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TOKEN = "a long login token"
BASE = "/team/lab.1/"
LARGE_BYTES = (16 << 20) + 12345
CATALOG = """
schema = 1
[images.waits]
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sleep 1000"
[images.makes]
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sh -c 'echo hello > made.txt'"
[images.lab]
title = "JupyterLab"
profile = "jupyterlab"
repo = "qarnotlab/jupyterlab-base"
tag = "v1"
"""


@pytest.fixture(scope="module")
def cli(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """An account with a session that runs, and one that has ended with results."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "images.toml").write_text(CATALOG)
    cli = CommandLine.of_account(cluster, folder, RUN_QARNOT_LOGIN_TOKEN=TOKEN)
    cli("launch", "waits", "--name", "takes-files", "--hours", 1, "--detach")
    cli("launch", "makes", "--name", "has-results", "--hours", 1)
    return cli


@contextlib.contextmanager
def behind_nginx(cli: CommandLine, folder: Path, headers: str) -> Iterator[tuple[Server, str]]:
    options = ("--no-browser", "--port", free_port(), "--base-url", BASE, "--trust-proxy")
    with running(cli, "dashboard", *options) as server:
        place = urlsplit(server.address())
        with nginx(folder, {BASE: f"http://{place.netloc}"}, headers=headers) as root:
            yield server, root + BASE


@contextlib.contextmanager
def behind_nginx_and_a_socket(cli: CommandLine, folder: Path) -> Iterator[tuple[Server, str]]:
    socket = folder / "page.sock"
    options = ("--no-browser", "--unix-socket", socket, "--base-url", BASE, "--trust-proxy")
    with running(cli, "dashboard", *options) as server:
        server.address()
        with nginx(folder, {BASE: f"http://unix:{socket}"}) as root:
            yield server, root + BASE


@contextlib.contextmanager
def direct(cli: CommandLine) -> Iterator[tuple[Server, str]]:
    with running(cli, "dashboard", "--no-browser", "--port", free_port(), "--base-url", BASE.strip("/")) as server:
        yield server, server.address()


MOUNTS: dict[str, Callable[[CommandLine, Path], contextlib.AbstractContextManager[tuple[Server, str]]]] = {
    "nginx": lambda cli, folder: behind_nginx(cli, folder, FORWARDED),
    "nginx that passes no host on": lambda cli, folder: behind_nginx(cli, folder, NO_HOST),
    "nginx and a Unix socket": behind_nginx_and_a_socket,
    "directly": lambda cli, folder: direct(cli),
}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Of a browser that trusts the test's certificate, and may read what is copied."""
    context = browser.new_context(
        locale="en-GB", ignore_https_errors=True, accept_downloads=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    page.goto("about:blank")
    context.close()


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_test_id("login-token").fill(TOKEN)
    page.get_by_test_id("login").click()
    expect(page.get_by_test_id("start")).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_whole_page_works_under_a_path(
    mount: str, page: Page, cli: CommandLine, cluster: LocalCluster, tmp_path: Path
) -> None:
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("response", lambda answer: failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    with MOUNTS[mount](cli, tmp_path) as (server, address):
        log_in(page, f"{address}?opt-image=waits&opt-hours=2")
        assert page.url == f"{address}?opt-image=waits&opt-hours=2", "the link is kept"
        expect(page.get_by_test_id("hours")).to_have_value("2")
        (cookie,) = page.context.cookies()
        assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == (BASE, address.startswith("https"), True)

        small, large = tmp_path / "small.txt", tmp_path / f"large-{len(mount)}.bin"
        small.write_text("through the kernel")
        large.write_bytes(hashlib.shake_256(mount.encode()).digest(LARGE_BYTES))
        page.get_by_test_id("upload").set_input_files(small)
        expect(page.get_by_test_id("upload-list")).to_contain_text("uploaded")
        running_card = page.get_by_test_id("session-takes-files")
        running_card.get_by_test_id("add").click()
        running_card.get_by_test_id("add-upload").set_input_files(large)
        expect(running_card.get_by_test_id("add-list")).to_contain_text("uploaded", timeout=60_000)
        running_card.get_by_test_id("add-send").click()
        expect(running_card.get_by_test_id("add-list")).to_have_count(0, timeout=60_000)
        assert held(cluster, "takes-files-in", large.name) == large.read_bytes()

        card = page.get_by_test_id("session-has-results")
        card.get_by_test_id("results").click()
        with page.expect_download() as download:
            card.get_by_test_id("download").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            assert "made.txt" in archive.namelist()

        page.get_by_role("region", name="Start").get_by_test_id("share").click()
        shared = page.get_by_test_id("share-link").inner_text()
        assert shared.startswith(f"{address}?opt-image=waits&opt-hours=2")
        assert TOKEN not in shared
        assert "token" not in shared

        before = kernels(server)
        page.reload()
        expect(page.get_by_test_id("hours")).to_have_value("2")
        wait_until(lambda: not any(kernel.is_running() for kernel in before), "the kernel of before to end")

        elsewhere = [url for url in asked if not re.sub("^ws", "http", url).startswith((address, "blob:", "data:"))]
        assert {urlsplit(url).port for url in elsewhere} <= {urlsplit(cluster.storage_url).port}, "but to the storage"
        assert any(url.startswith("ws") for url in asked)
        assert failed == []

        page.get_by_test_id("logout").click()
        expect(page.get_by_role("heading")).to_have_text("You are logged out")
        page.goto(address)
        expect(page.get_by_test_id("login-token")).to_be_visible()


@pytest.mark.parametrize("headers", [FORWARDED, NO_HOST], ids=["forwarded", "no host"])
def test_a_team_without_tls_logs_in_by_name_and_other_sites_start_nothing(
    headers: str, browser: Browser, cli: CommandLine, tmp_path: Path
) -> None:
    """Browsers mark no request to such a name with `Sec-Fetch-*`: the origin and the cookie have to do."""
    options = ("--no-browser", "--port", free_port(), "--base-url", BASE, "--trust-proxy")
    with running(cli, "dashboard", *options) as server:
        target = f"http://{urlsplit(server.address()).netloc}"
        rules = "--host-resolver-rules=MAP team.test 127.0.0.1, MAP elsewhere.test 127.0.0.1"
        with nginx(tmp_path, {BASE: target}, headers=headers, tls=False) as root:
            mapped = browser.browser_type.launch(executable_path=chromium(), args=[*ARGUMENTS, rules])
            page = mapped.new_context(locale="en-GB").new_page()
            address = root.replace("localhost", "team.test") + BASE
            log_in(page, f"{address}?opt-image=waits&opt-hours=2")
            expect(page.get_by_test_id("hours")).to_have_value("2")
            (cookie,) = page.context.cookies()
            assert ("team-test" in cookie["name"]) is (headers is FORWARDED)
            other = page.context.new_page()
            other.route("http://elsewhere.test/", lambda route: route.fulfill(body="<title>x</title>"))
            other.goto("http://elsewhere.test/")
            load = "address => fetch(address, {mode: 'no-cors', credentials: 'include'}).then(a => a.type, String)"
            other.evaluate(load, f"{address}?x=1")  # the browser itself may refuse it, or leaves the cookie away
            assert len(kernels(server)) == 1
            page.get_by_test_id("logout").click()
            expect(page.get_by_role("heading")).to_have_text("You are logged out")
            mapped.close()


def held(cluster: LocalCluster, bucket: str, key: str) -> bytes:
    connection = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)
    storage: Any = connection.s3client
    return bytes(storage.get_object(Bucket=bucket, Key=key)["Body"].read())


def test_two_dashboards_of_one_host_do_not_log_each_other_out(page: Page, cli: CommandLine, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    with (
        running(cli, "dashboard", "--no-browser", "--port", ports[0], "--base-url", "/", "--trust-proxy") as outer,
        running(cli, "dashboard", "--no-browser", "--port", ports[1], "--base-url", "/lab/", "--trust-proxy") as inner,
    ):
        outer.address(), inner.address()
        targets = {"/": f"http://127.0.0.1:{ports[0]}", "/lab/": f"http://127.0.0.1:{ports[1]}"}
        with nginx(tmp_path, targets) as root:
            for path in ("/", "/lab/"):
                log_in(page, root + path)
            for path in ("/", "/lab/"):
                page.goto(root + path)
                expect(page.get_by_test_id("start")).to_be_visible()
            page.get_by_test_id("logout").click()
            page.goto(root)
            expect(page.get_by_test_id("start"), "only from the one").to_be_visible()


@pytest.mark.timeout(400)
def test_a_newcomer_runs_a_cell_behind_nginx_and_shares_the_form(
    page: Page, browser: Browser, cli: CommandLine, cluster: LocalCluster, tmp_path: Path
) -> None:
    """From the link to a cell in JupyterLab, through TLS, nginx, our server and SSH; then a second person comes."""
    with behind_nginx(cli, tmp_path, FORWARDED) as (_server, address):
        log_in(page, f"{address}?opt-image=lab&opt-hours=2")
        expect(page.get_by_test_id("link-note")).to_be_visible()
        expect(page.get_by_test_id("account")).to_contain_text(cluster.email)
        card = start(page, "behind-nginx", 180_000)
        take_picture(page, "nginx-ready", whole=True)
        lab = open_app(page, card)
        run_a_cell(lab)
        take_picture(lab, "nginx-cell")
        assert lab.url.startswith(f"{address}rq-")
        assert "token" not in lab.url
        (cookie,) = [each for each in page.context.cookies() if each["name"] == "run-qarnot-visit"]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        assert cookie["path"] == f"{BASE}{urlsplit(lab.url).path.removeprefix(BASE).split('/')[0]}/"

        page.bring_to_front()
        page.get_by_test_id("share").last.click()
        shared = page.get_by_test_id("share-link").inner_text()
        other = browser.new_context(locale="fr-FR", ignore_https_errors=True)
        second = other.new_page()
        refused = second.goto(lab.url)
        assert refused is not None
        assert refused.status == 403, "the link is for the form; the session stays closed"
        log_in(second, shared)
        assert second.url == shared
        expect(second.get_by_test_id("hours")).to_have_value("2")
        expect(second.get_by_test_id("start")).to_contain_text("JupyterLab")
        take_picture(second, "nginx-second-person", whole=True)
        second.goto("about:blank")
        other.close()

        lab.goto("about:blank")
        stop(card)
