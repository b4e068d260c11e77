"""The page by its other ways in: a kernel that was heated up ahead, somebody else's Jupyter server, and Voila alone."""

from __future__ import annotations

import collections
import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect
from support.attack import assert_guarded
from support.command import clean_environment
from support.jupyter_server import TOKEN, JupyterServer
from support.ports import free_port
from support.repository import ROOT
from support.servers import kernels_below
from support.waiting import wait_until
from support.wire import Wire

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]
LINK = "?opt-image=pytorch&opt-hours=3"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Home and temporary folder of a server; short, because paths of sockets have a limit."""
    folder = Path(tempfile.mkdtemp(prefix="rq-"))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def program(folder: Path, *command: str, **variables: str) -> Iterator[tuple[psutil.Process, int]]:
    """Run a server of which `command` says how, with `PORT` in the place of its port; yield it once it accepts."""
    port = free_port()
    environment = clean_environment(HOME=str(folder), TMPDIR=str(folder), **variables)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(part.replace("PORT", str(port)) for part in command)],
            cwd=folder, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, "the server", seconds=60)
        assert process.poll() is None, (folder / "log").read_text()
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(timeout=30)


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


def is_asked(kernel: psutil.Process) -> bool:
    """Whether a client has opened its channels: before, it is not offered to a visitor, who gets another."""
    channels = collections.Counter(c.laddr for c in kernel.net_connections("unix") if c.laddr)
    return sum(count > 1 for count in channels.values()) > 1  # one is what the server itself watches


def test_a_kernel_heated_up_ahead_shows_the_page_of_its_visitor(page: Page, folder: Path) -> None:
    """The operator's account is opened, and the link read, when the visitor comes: not before, and by that kernel."""
    with (
        LocalCluster() as cluster,
        program(
            folder, "run_qarnot.page.server", "--no-browser", "--port=PORT", "--preheat=1",
            QARNOT_CLUSTER_URL=cluster.cluster_url, QARNOT_STORAGE_URL=cluster.storage_url,
            QARNOT_CLIENT_TOKEN=cluster.token,
        ) as (server, port),
    ):  # fmt: skip
        preheated = wait_until(lambda: kernels_below(server), "a kernel that nobody has asked for")
        wait_until(lambda: all(map(is_asked, preheated)), "the page to be asked of it")
        assert cluster.control.calls == []
        login = re.search(r"token=\S+", (folder / "log").read_text())
        assert login is not None
        page.goto(f"http://localhost:{port}/{LINK}&{login[0]}")
        expect(page.get_by_test_id("account")).to_be_visible()
        expect(page.get_by_test_id("link-note")).to_contain_text("PyTorch")
        expect(page.get_by_test_id("hours")).to_have_value("3")
        wire = Wire(page)
        assert_guarded(wire)
        assert wire.answers("execute_request", {"code": "1", "silent": False}, "execute_reply") == []
        wire.close()
        page.goto("about:blank")
        wait_until(lambda: not any(kernel.is_running() for kernel in preheated), "the visitor's kernel to end")


def test_a_jupyter_server_shows_that_the_page_starts_and_then_the_page(page: Page, folder: Path) -> None:
    server = JupyterServer(folder)
    try:
        page.goto(f"{server.page}{LINK}&token={TOKEN}", wait_until="commit")
        expect(page.get_by_test_id("starting")).to_contain_text("Starting the page’s server…")
        expect(page.get_by_test_id("start")).to_be_visible(timeout=90_000)
        expect(page.get_by_test_id("link-note")).to_contain_text("PyTorch")
        assert page.url == f"{server.page}{LINK}"
        kernels = kernels_below(server.page_server())
        wire = Wire(page, base="/user/me/run-qarnot/")
        assert_guarded(wire)
        wire.close()
        page.goto("about:blank")
        wait_until(lambda: not any(kernel.is_running() for kernel in kernels), "the visitor's kernel to end")
    finally:
        server.end()


def test_a_jupyter_server_says_why_the_page_cannot_start(page: Page, folder: Path) -> None:
    server = JupyterServer(folder, QARNOT_STORAGE_URL="no address")
    try:
        page.goto(f"{server.page}?token={TOKEN}", wait_until="commit")
        failed = page.get_by_test_id("failed")
        expect(failed).to_contain_text("QARNOT_STORAGE_URL", timeout=90_000)
        failed.get_by_role("button", name="Try again").click()
        expect(page.get_by_test_id("starting").or_(failed)).to_be_visible()
    finally:
        server.end()


def test_voila_alone_says_how_the_page_is_started(page: Page, folder: Path) -> None:
    with program(folder, "voila", str(ROOT / "dashboard.ipynb"), "--no-browser", "--port=PORT") as (_, port):
        page.goto(f"http://localhost:{port}/")
        expect(page.get_by_text("run-qarnot dashboard")).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stuck")).to_be_hidden()
