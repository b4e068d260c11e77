"""A page from which SSH does not go out: it says so before anything is started, and offers what works.

The page's server and its kernels run in a network of their own, which lets them to the cluster's API and storage and
to no other port: as on a hub behind a firewall. The visitor's browser and computer are outside.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect
from qarnot.connection import Connection
from support.browser import FakeBrowser
from support.command import CommandLine
from support.network import confined
from support.nginx import nginx
from support.pictures import take_picture
from support.ports import free_port
from support.servers import running
from support.visitor import stop
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]
TOKEN = "a long login token"
BASE = "/team/"
SLOW = 120_000
CATALOG = """
[images.listing]
title = "A listing"
repo = "library/debian"
app = "web"
port = {port}
profile = "docker-network-ssh"
command = "sh -c 'until python3 -m http.server --bind 127.0.0.1 {port}; do sleep 0.1; done'"
[images.waits]
title = "A machine that waits"
repo = "library/debian"
app = "web"
port = {other}
profile = "docker-network-ssh"
command = "sleep 1000"
[images.command]
title = "A command"
repo = "library/debian"
app = "batch"
profile = "docker-batch"
command = "true"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rq-"))  # short: it holds sockets
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(cluster: LocalCluster, folder: Path) -> CommandLine:
    """Somebody's account, with one session that runs: started from where SSH does go out."""
    (folder / "images.toml").write_text(CATALOG.format(port=free_port(), other=free_port()))
    cli = CommandLine.of_account(cluster, folder, RUN_QARNOT_LOGIN_TOKEN=TOKEN)
    cli("launch", "waits", "--name", "earlier", "--hours", 1, "--detach")
    account = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)
    (task,) = account.all_tasks()

    def has_forward() -> bool:
        task.update(True)
        instances = task.status.running_instances_info.per_running_instance_info if task.status else []
        return any(each.active_forward for each in instances)

    wait_until(has_forward, "the machine of the session", seconds=60)
    return cli


@pytest.fixture
def address(cluster: LocalCluster, home: CommandLine, folder: Path) -> Iterator[str]:
    """Of a dashboard that reaches the cluster, and no machine of it."""
    urls = (cluster.cluster_url, cluster.storage_url)
    ports = [port for url in urls if (port := urlsplit(url).port)]
    socket = folder / "page.sock"
    options = ("--no-browser", "--unix-socket", socket, "--base-url", BASE, "--trust-proxy")
    with confined(home, ports, folder) as behind_wall, running(behind_wall, "dashboard", *options) as server:
        server.address()
        with nginx(folder, {BASE: f"http://unix:{socket}"}) as root:
            yield root + BASE


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(
        locale="en-GB", ignore_https_errors=True, accept_downloads=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(SLOW)
    yield page
    page.goto("about:blank")
    context.close()


def test_it_says_so_before_start_and_the_launcher_opens_the_session(page: Page, address: str, folder: Path) -> None:
    page.goto(f"{address}?opt-image=listing&opt-hours=1")
    page.get_by_test_id("login-token").fill(TOKEN)
    page.get_by_test_id("login").click()
    expect(page.get_by_test_id("entry")).to_contain_text("no SSH goes out from this server", timeout=SLOW)
    expect(page.get_by_test_id("blockers")).to_contain_text("Say above")
    expect(page.get_by_test_id("start")).to_be_disabled()
    take_picture(page, "no-ssh-before-start", whole=True)
    page.get_by_test_id("image-command").get_by_role("radio").check(force=True)
    expect(page.get_by_test_id("entry"), "a batch has no page to open").to_have_count(0)
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("image-listing").get_by_role("radio").check(force=True)

    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("behind-a-wall")
    page.get_by_test_id("entry-agree").check()
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-behind-a-wall")
    card.get_by_test_id("connections").click(timeout=SLOW)
    expect(card.get_by_test_id("open"), "it would lead to a page that says that nothing answers").to_have_count(0)
    card.get_by_test_id("system").select_option("linux")
    with page.expect_download() as download:
        card.get_by_test_id("launcher").click()
    launcher = folder / "launcher.sh"
    download.value.save_as(launcher)
    take_picture(page, "no-ssh-card", whole=True)

    url = opened_by(launcher, folder)
    assert re.match(r"http://127\.0\.0\.1:2\d{4}/", url)
    stop(card, SLOW)


def opened_by(launcher: Path, folder: Path) -> str:
    """Run a launcher on the visitor's computer; return the address that it opens, once its page has answered."""
    for name in ("bin", "tmp"):
        (folder / name).mkdir()
    browser = FakeBrowser(folder / "bin", "xdg-open")
    environment = {
        "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    process = subprocess.Popen(["sh", launcher], env=environment, stdin=subprocess.PIPE, start_new_session=True)
    try:
        url = str(browser.seen().target)
        with urlopen(url, timeout=30) as answer:
            assert answer.status == 200
        return url
    finally:
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            each.kill()
        process.communicate(timeout=10)
