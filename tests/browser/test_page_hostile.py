"""What comes from outside is text, visitors are strangers to each other, and nobody runs code through the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from qarnot.connection import Connection
from support import servers
from support.attack import assert_guarded
from support.command import CommandLine
from support.servers import Server, kernels
from support.visitor import sign_in
from support.waiting import wait_until
from support.wire import Wire

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]

EVIL = "<img src=x onerror=window.hacked=1>{{7*191}}<svg onload=window.hacked=1>"
CATALOG = f"""
schema = 1
[images.base]
title = "JupyterLab"
repo = "qarnotlab/jupyterlab-base"
tag = "v1"
[images.evil]
title = '{EVIL} title'
summary = '{EVIL} summary'
description = '{EVIL} description'
category = '{EVIL} category'
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = '''sh -c 'echo "$RUN_LINE"; echo made > "$RUN_FILE"; exit 3' '''
[images.evil.options.line]
label = '{EVIL} label'
help = '{EVIL} help'
default = '{EVIL} line'
constant = "RUN_LINE"
[images.evil.options.file]
type = "choice"
choices = ['{EVIL} result\u202e']
default = '{EVIL} result\u202e'
constant = "RUN_FILE"
[images.javascript]
docs_url = "javascript:window.hacked=1"
[images.bad]
'{EVIL} key' = "x"
"""
SECRET_LINE = "only-the-first-visitor-may-see-this"


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "images.toml").write_text(CATALOG)
    with servers.dashboard(CommandLine.at(cluster, folder)) as server:
        yield server


@pytest.fixture
def wire(page: Page, dashboard: Server) -> Iterator[Wire]:
    page.goto(dashboard.address())
    expect(page.get_by_test_id("start")).to_be_visible()
    wire = Wire(page)
    yield wire
    wire.close()


def assert_harmless(page: Page) -> None:
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], [onerror], [onload], a[href^='javascript:' i]").count() == 0
    assert "1337" not in page.inner_text("body"), "text was taken for a template"


def test_hostile_text_is_shown_as_text_in_each_place(
    page: Page, dashboard: Server, cluster: LocalCluster, tmp_path: Path
) -> None:
    connection = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)
    foreign = connection.create_task(f"{EVIL} name\n\u202ex\x1b[2J", "docker-batch", 1)
    foreign.constants["DOCKER_CMD"] = "true"
    foreign.tags = ["run-qarnot"]
    foreign.labels = {"rq-image": f"{EVIL} image", "rq-app": EVIL, "rq-launch": "x", "rq-ends": EVIL}
    foreign.submit()

    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    expect(page.get_by_text(f"{EVIL} name").first, "a session's name").to_be_visible()
    expect(page.get_by_role("heading", name=rf"{EVIL} name\n\u202ex\x1b[2J"), "what hides is visible").to_be_visible()
    expect(page.get_by_text(f"{EVIL} image").first, "its image").to_be_visible()
    expect(page.get_by_test_id("image-evil")).to_contain_text(f"{EVIL} title")
    expect(page.get_by_test_id("image-evil")).to_contain_text(f"{EVIL} summary")
    expect(page.get_by_text(re.compile(r"javascript:window\.hacked")).first, "an entry's problem").to_be_attached()
    page.get_by_test_id("image-evil").click()
    expect(page.get_by_text(f"{EVIL} label").first, "an option").to_be_attached()
    expect(page.get_by_text(f"{EVIL} help")).to_be_visible()
    (tmp_path / f"{EVIL}.txt").write_text("x")
    page.get_by_test_id("upload").set_input_files(tmp_path / f"{EVIL}.txt")
    expect(page.get_by_test_id("upload-list")).to_contain_text(EVIL)
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill(EVIL)
    expect(page.get_by_test_id("blockers"), "an error").to_contain_text(EVIL)
    page.get_by_test_id("name").fill("evil-session")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-evil-session")
    expect(card.get_by_test_id("state")).to_contain_text("Failed", timeout=30_000)
    expect(card.get_by_test_id("log-lines"), "the output").to_contain_text(f"{EVIL} line")
    expect(card.get_by_test_id("results"), "a result's name").to_contain_text(rf"{EVIL} result\u202e")
    card.get_by_test_id("share").click()
    expect(card.get_by_test_id("share-badge")).to_contain_text("title on Qarnot")
    assert_harmless(page)


def test_hostile_links_are_text_too(page: Page, dashboard: Server) -> None:
    page.goto(dashboard.address(f"opt-image=base&opt-hours={EVIL}&opt-<b>x</b>=1&opt-image2={EVIL}"))
    expect(page.get_by_test_id("link-note")).to_contain_text("<img src=x")
    assert_harmless(page)


def test_the_attack_on_ipyvue_has_no_effect_on_the_running_page(wire: Wire) -> None:
    assert_guarded(wire)


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_code_over_the_websocket_is_refused(wire: Wire, tmp_path: Path, channel: str) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')"
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    assert wire.answers("execute_request", content, "execute_reply", channel) == []
    assert wire.answers("inspect_request", {"code": "page", "cursor_pos": 1}, "inspect_reply", channel) == []
    assert not marker.exists()


def test_a_visitor_cannot_set_what_the_page_shows(wire: Wire, page: Page) -> None:
    for widget in wire.widgets():
        data = {
            "method": "update",
            "state": {"problem": {"what": "forged", "todo": "", "report": "", "field": "", "words": {}}},
        }
        wire.answers("comm_msg", {"comm_id": widget, "data": data}, "comm_msg")
    expect(page.get_by_text("forged")).to_have_count(0)


def test_uploaded_files_lie_in_a_private_folder_that_goes_with_the_page(
    page: Page, dashboard: Server, tmp_path: Path
) -> None:
    page.goto(dashboard.address())
    expect(page.get_by_test_id("start")).to_be_visible()
    before = folders(dashboard)
    (tmp_path / "private.txt").write_text(SECRET_LINE + " on disk")
    page.get_by_test_id("upload").set_input_files(tmp_path / "private.txt")
    expect(page.get_by_test_id("upload-list")).to_contain_text("uploaded")
    (folder,) = [folder for folder in folders(dashboard) if folder not in before]
    for path in (folder, folder.parent):
        assert path.stat().st_mode & 0o077 == 0
    page.close(run_before_unload=True)
    wait_until(lambda: not folder.exists(), "the files to be erased")


def folders(server: Server) -> list[Path]:
    """Where kernels keep uploads."""
    shared = {Path(kernel.environ()["RUN_QARNOT_DOWNLOADS"]) for kernel in kernels(server)}
    return [path for folder in shared for path in folder.glob("run-qarnot-*") if path.is_dir()]


def test_no_kernel_is_left_by_a_reload_or_a_closed_tab(page: Page, dashboard: Server) -> None:
    others = set(kernels(dashboard))  # of pages that a test ended without a farewell
    page.goto(dashboard.address())
    expect(page.get_by_test_id("start")).to_be_visible()
    (first,) = set(kernels(dashboard)) - others
    page.reload()
    expect(page.get_by_test_id("start")).to_be_visible()
    wait_until(lambda: not first.is_running(), "the first kernel to end")
    (second,) = set(kernels(dashboard)) - others
    page.close(run_before_unload=True)
    wait_until(lambda: not second.is_running(), "the second kernel to end")


def test_a_dead_kernel_is_said_and_the_button_works(page: Page, dashboard: Server, cluster: LocalCluster) -> None:
    others = set(kernels(dashboard))
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    (kernel,) = set(kernels(dashboard)) - others
    kernel.kill()
    button = page.get_by_test_id("reload")
    expect(button).to_be_visible(timeout=60_000)
    expect(button).to_be_focused()
    expect(page.get_by_text("This page lost its connection")).to_be_visible()
    expect(page.get_by_text("will be asked for your token again")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.rq-column')") is None, "what is behind is not to be used"
    page.route("**/*", lambda route: route.abort())  # as if the server were stopped
    button.click()
    expect(page.get_by_test_id("silent")).to_contain_text("does not answer yet")
    page.unroute_all()
    expect(button).to_have_count(0)
    expect(page.get_by_test_id("start")).to_be_visible()
