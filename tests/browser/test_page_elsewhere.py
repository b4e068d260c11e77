"""A page whose visitors' browsers are not on its computer: its sessions are opened through its server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from qarnot.connection import Connection
from support import servers
from support.command import CommandLine
from support.ports import free_port
from support.servers import Server
from support.traffic import Traffic
from support.visitor import open_app, start, stop

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]
NAME = "far-away-42"


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("elsewhere")
    port = free_port()
    # Again and again: after a preemption the machine before may still hold the port, which here is the same one.
    command = f"sh -c 'until python3 -m http.server --bind 127.0.0.1 {port}; do sleep 0.1; done'"
    (home / "images.toml").write_text(
        f"""
        [images.listing]
        title = "A listing"
        repo = "library/debian"
        app = "web"
        port = {port}
        profile = "docker-network-ssh"
        command = "{command}"
        """
    )
    more = {"RUN_QARNOT_IMAGES": str(home / "images.toml"), "RUN_QARNOT_VISITORS": "elsewhere"}
    with servers.dashboard(CommandLine.of_account(cluster, home, **more)) as server:
        yield server


def test_a_session_is_opened_through_the_page_and_stays_open(
    page: Page, dashboard: Server, browser: Browser, cluster: LocalCluster
) -> None:
    traffic = Traffic(page.context)
    page.goto(dashboard.address("opt-image=listing"))
    expect(page.get_by_test_id("account")).to_be_visible()
    card = start(page, NAME, 60_000)
    expect(card.get_by_test_id("open")).to_have_text("Open the application")

    tab = open_app(page, card)
    expect(tab).to_have_title("Directory listing for /")
    here = urlsplit(dashboard.address())
    there = urlsplit(tab.url)
    assert (there.netloc, there.query) == (here.netloc, "")
    assert there.path.startswith("/rq-")
    assert tab.evaluate("window.opener") is None

    # whoever has the address alone sees nothing; the visitor may go on without the dashboard
    stranger = browser.new_page()
    refused = stranger.goto(tab.url)
    assert refused is not None
    assert refused.status == 403
    stranger.close()
    page.goto("about:blank")
    tab.reload()
    expect(tab).to_have_title("Directory listing for /")

    # another machine: once a page has found it, the same address leads there
    page.goto(dashboard.address())
    card = page.get_by_test_id(f"session-{NAME}")
    card.get_by_test_id("open").wait_for(timeout=60_000)
    account = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)
    (task,) = [task for task in account.all_tasks() if task.name == NAME]
    cluster.control.preempt(task)
    expect(card.get_by_test_id("open")).to_have_count(0, timeout=60_000)
    card.get_by_test_id("open").wait_for(timeout=120_000)
    tab.reload()
    expect(tab).to_have_title("Directory listing for /", timeout=60_000)

    stop(card)
    tab.reload()
    expect(tab.get_by_test_id("notice")).to_have_text("The session has ended")
    assert not traffic.holds("BEGIN OPENSSH PRIVATE KEY")
