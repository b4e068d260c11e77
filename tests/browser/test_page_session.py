"""A session's card: ways in for the person's own computer, what is said before the end, more hours, and the focus."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from qarnot.connection import Connection
from support import servers
from support.accessibility import assert_accessible, assert_fits
from support.browser import FakeBrowser
from support.command import CommandLine
from support.jupyter import Jupyter
from support.servers import Server
from support.ssh import make_key
from support.visitor import stop
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.dashboard(CommandLine.of_account(cluster, tmp_path_factory.mktemp("session"))) as server:
        yield server


@pytest.fixture(scope="module")
def account(cluster: LocalCluster) -> Connection:
    return Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)


@pytest.fixture(autouse=True)
def nothing_of_before(account: Connection, cluster: LocalCluster) -> None:
    """No session of another test, nor of another try of this one."""
    cluster.control.reset()
    for task in account.all_tasks():
        task.delete(purge_resources=True)  # the bucket of its results is among them


def start(page: Page, dashboard: Server, image: str, name: str, hours: str = "1", key: str = "") -> Locator:
    page.goto(dashboard.address(f"opt-image={image}"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill(name)
    page.get_by_test_id("hours").fill(hours)
    page.get_by_test_id("ssh-key").fill(key)
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    return page.get_by_test_id(f"session-{name}")


def show_connections(card: Locator) -> None:
    if card.get_by_test_id("connections").get_attribute("aria-expanded") == "false":
        card.get_by_test_id("connections").click()


def download(page: Page, card: Locator, system: str, file: Path) -> str:
    """Fetch a launcher; return what it is called."""
    card.get_by_test_id("system").select_option(system)
    with page.expect_download() as expected:
        card.get_by_test_id("launcher").click()
    expected.value.save_as(file)
    return expected.value.suggested_filename


@contextlib.contextmanager
def launched(script: Path, browser: FakeBrowser) -> Iterator[None]:
    """Run a launcher for the block, from when it has opened JupyterLab."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"},
        "PATH": f"{browser.program.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(browser.program.parent),
        "TMPDIR": str(browser.program.parent),
    }  # fmt: skip
    process = subprocess.Popen(["sh", script], env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        seen = browser.seen()
        wait_until(Jupyter(seen.target).answers, "JupyterLab behind the launcher's tunnel", 30)
        yield
    finally:
        os.killpg(process.pid, signal.SIGHUP)
        process.wait(10)
    assert not seen.file.parent.exists()


def test_the_launcher_needs_no_key_and_its_own_is_in_the_download_alone(
    page: Page, dashboard: Server, tmp_path: Path
) -> None:
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: frames.append(str(data))))
    card = start(page, dashboard, "base", "launched")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    show_connections(card)
    expect(card.get_by_test_id("ssh-command"), "there is no key for it").to_have_count(0)
    page.set_viewport_size({"width": 360, "height": 740})
    assert_fits(page)
    assert_accessible(page, "a session with a launcher and no ssh command")
    names = {}
    for system, opener in (("linux", "xdg-open"), ("macos", "open"), ("windows", "start")):
        file = tmp_path / system
        names[system] = download(page, card, system, file)
        assert "-----BEGIN OPENSSH PRIVATE KEY-----" in file.read_text()
        if system != "windows":
            (tmp_path / f"home {system}").mkdir()
            with launched(file, FakeBrowser(tmp_path / f"home {system}", opener)):
                pass
    assert names == {"linux": "launched.sh", "macos": "launched.command", "windows": "launched.bat"}
    expect(card.get_by_test_id("open"), "the page and its kernel are still there").to_be_visible()
    assert len(frames) > 20
    assert not any("PRIVATE KEY" in text for text in (page.content(), *frames))
    stop(card)


def test_where_the_machine_knows_the_persons_key_alone_the_launcher_uses_that(
    page: Page, dashboard: Server, tmp_path: Path
) -> None:
    public = make_key(tmp_path)
    card = start(page, dashboard, "base", "launched-with-mine", key=public.read_text().strip())
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    show_connections(card)
    expect(card.get_by_test_id("ssh-command")).to_contain_text("UserKnownHostsFile=/dev/null")
    card.get_by_test_id("system").select_option("windows")
    expect(card.get_by_test_id("ssh-command")).to_contain_text("UserKnownHostsFile=NUL")
    page.set_viewport_size({"width": 360, "height": 740})
    assert_fits(page)
    assert_accessible(page, "a session with all its doors")
    assert download(page, card, "linux", tmp_path / "launcher") == "launched-with-mine.sh"
    assert "PRIVATE KEY" not in (tmp_path / "launcher").read_text()
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"  # which finds the key: the system's own looks in the home that /etc/passwd names
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -i "{public.with_suffix("")}" "$@"\n')
    ssh.chmod(0o755)
    with launched(tmp_path / "launcher", FakeBrowser(tmp_path / "bin", "xdg-open")):
        pass
    stop(card)


def test_it_is_said_5_and_15_minutes_before_the_end_and_not_earlier(page: Page, dashboard: Server) -> None:
    card = start(page, dashboard, "command&opt-command=sleep 600", "ends-soon", hours="0.3")  # 18 minutes
    started, warning = datetime.now(UTC), card.get_by_test_id("ends-soon")
    expect(card).to_contain_text("the command is at work")
    expect(card.get_by_test_id("cost"), "nothing more will come, and with it the kernel's time").to_be_visible()
    expect(warning).to_have_count(0)
    page.clock.set_fixed_time(started + timedelta(minutes=4))
    expect(warning).to_contain_text("Stops in less than 15 minutes.")
    page.clock.set_fixed_time(started + timedelta(minutes=14))
    expect(warning).to_contain_text("Stops in less than 5 minutes. Save now.")
    expect(card.get_by_test_id("more-hours"), "a command would begin again").to_have_count(0)
    stop(card)
    expect(warning).to_have_count(0)


def test_it_may_be_said_until_when_instead_of_how_long(page: Page, dashboard: Server) -> None:
    page.goto(dashboard.address())
    in_two_hours = page.evaluate("new Date(Date.now() + 2 * 3600e3).toTimeString().slice(0, 5)")
    card = start(page, dashboard, "command&opt-command=sleep 600", "until", hours=in_two_hours)
    expect(card).to_contain_text(re.compile(rf"Stops at .*{in_two_hours} \(in "))
    stop(card)
    page.get_by_test_id("hours").fill("25:00")
    expect(page.get_by_test_id("blockers")).to_contain_text("“25:00” hours is not possible")


def test_extend_runs_the_same_session_again_with_its_files(page: Page, dashboard: Server) -> None:
    card = start(page, dashboard, "base", "lab", hours="0.2")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    Jupyter(card.get_by_test_id("open").get_attribute("href") or "").run("open('made.txt', 'w').write('kept')")
    card.get_by_test_id("ends-soon").get_by_role("button", name="Extend").click()
    field = card.get_by_test_id("more-hours-field")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(card.get_by_test_id("more-hours"), "the focus is where it came from").to_be_focused()

    page.keyboard.press("Enter")
    field.fill("many")
    card.get_by_test_id("more-hours-confirm").click()
    expect(card.get_by_test_id("error")).to_contain_text("“many” hours is not possible")
    expect(card.get_by_test_id("state"), "nothing was stopped").to_contain_text("Ready")
    card.get_by_test_id("more-hours").click()
    field.fill("2")
    page.set_viewport_size({"width": 360, "height": 740})
    assert_fits(page)
    assert_accessible(page, "a session asked for more hours, soon before its end")
    card.get_by_test_id("more-hours-confirm").click()
    expect(card.get_by_test_id("ends-soon")).to_have_count(0, timeout=60_000)
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    again = Jupyter(card.get_by_test_id("open").get_attribute("href") or "")
    assert again.run("print(open('made.txt').read())") == "kept\n"
    expect(page.get_by_role("article")).to_have_count(1)
    stop(card)


def test_while_it_is_being_stopped_the_browser_asks_before_it_leaves(
    page: Page, dashboard: Server, cluster: LocalCluster
) -> None:
    card = start(page, dashboard, "command&opt-command=sleep 600", "closing")
    expect(card.get_by_test_id("state")).to_contain_text("Running")
    expect(card.get_by_test_id("may-close")).to_contain_text("You can close this page")
    cluster.control.hold("snapshot")
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("may-close")).to_contain_text("Keep this page open until the session has stopped")
    expect(card, "it does not any more").not_to_contain_text("Stops by itself")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    cluster.control.release("snapshot")
    expect(card.get_by_test_id("state"), "she stayed, and so did the kernel").to_contain_text("Ended")


def test_who_leaves_all_the_same_leaves_no_kernel(page: Page, dashboard: Server, cluster: LocalCluster) -> None:
    card = start(page, dashboard, "command&opt-command=sleep 600", "left")
    expect(card.get_by_test_id("state")).to_contain_text("Running")
    cluster.control.hold("snapshot")
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("may-close")).to_contain_text("Keep this page open until the session has stopped")
    before = servers.kernels(dashboard)
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto("about:blank")
    wait_until(lambda: len(servers.kernels(dashboard)) == len(before) - 1, "its kernel to end")
    cluster.control.reset()


def test_the_stop_question_knows_of_saves_that_nobody_told_the_page(
    page: Page, dashboard: Server, account: Connection
) -> None:
    card = start(page, dashboard, "command&opt-command=echo a > made.txt; sleep 600", "unsaved")
    expect(card.get_by_test_id("saved")).to_have_text("Not saved yet")
    card.get_by_test_id("stop").click()
    expect(card.get_by_test_id("stop-saved")).to_have_text("Not saved yet.")
    expect(card.get_by_role("alertdialog"), "with a space between").to_contain_text("its files. Not saved yet.")
    card.get_by_test_id("stop-keep").click()
    [task] = account.all_tasks()
    task.instant()  # another program of the same account saves it
    wait_until(lambda: list(account.retrieve_bucket("unsaved-out").list_files()), "the save")
    card.get_by_test_id("stop").click()
    expect(card.get_by_test_id("stop-saved")).to_contain_text("Last saved")
    expect(card.get_by_test_id("saved")).to_contain_text("Last saved")
    card.get_by_test_id("stop-keep").click()
    stop(card)


def test_escape_closes_what_was_opened_last_wherever_the_focus_is(page: Page, dashboard: Server) -> None:
    card = start(page, dashboard, "command&opt-command=echo a > made.txt", "panels")
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    share, looked_at = card.get_by_test_id("share"), card.get_by_role("button", name="made.txt", exact=True)
    share.click()
    expect(card.get_by_test_id("share-link")).to_be_visible()
    expect(share, "nothing in the panel has it").to_be_focused()
    looked_at.click()
    expect(card.get_by_test_id("preview")).to_be_visible()
    card.get_by_test_id("delete").click()
    expect(card.get_by_test_id("delete-keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card.get_by_test_id("delete-keep")).to_have_count(0)
    expect(card.get_by_test_id("delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card.get_by_test_id("preview")).to_have_count(0)
    expect(card.get_by_test_id("share-link"), "one at a time").to_be_visible()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Escape")
    expect(card.get_by_test_id("share-link")).to_have_count(0)
    expect(share).to_be_focused()
    looked_at.click()
    expect(card.get_by_test_id("preview")).to_be_visible()
    card.get_by_test_id("preview").get_by_role("button", name="Close").click()
    expect(looked_at, "closed by its button, too").to_be_focused()


def test_a_question_gives_the_focus_back_to_what_asked_it(page: Page, dashboard: Server) -> None:
    card = start(page, dashboard, "command&opt-command=sleep 600", "asked")
    expect(card.get_by_test_id("state")).to_contain_text("Running")
    stop = card.get_by_test_id("stop")
    stop.click(trial=True)  # the card is there: while it arrives it is laid out unseen, and cannot have the focus
    stop.press("Enter")
    expect(card.get_by_test_id("stop-confirm")).to_be_focused()
    page.keyboard.press("Escape")
    expect(card.get_by_test_id("stop-confirm")).to_have_count(0)
    expect(stop).to_be_focused()
    stop.press("Enter")
    card.get_by_test_id("stop-keep").press("Enter")
    expect(stop).to_be_focused()
    stop.press("Enter")
    card.get_by_test_id("stop-no-save").press("Enter")
    expect(card, "not the beginning of the page").to_be_focused()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    expect(card.get_by_test_id("delete")).to_be_enabled()
    card.get_by_test_id("delete").press("Enter")
    expect(card.get_by_test_id("delete-keep")).to_be_focused()
    card.get_by_test_id("delete-keep").press("Enter")
    expect(card.get_by_test_id("delete")).to_be_focused()
    page.keyboard.press("Enter")
    card.get_by_test_id("delete-confirm").press("Enter")
    expect(card).to_have_count(0)
    expect(page.get_by_test_id("start"), "no other session is left").to_be_focused()


def test_of_much_output_the_end_is_shown(page: Page, dashboard: Server) -> None:
    card = start(page, dashboard, "command&opt-command=seq 100000", "prints-much")
    expect(card.get_by_test_id("state")).to_contain_text("Ended")
    for _ in range(3):
        card.get_by_test_id("log").get_by_role("button").click()
        expect(card.get_by_test_id("log-lines").get_by_text("100000", exact=True)).to_be_visible()
        card.get_by_test_id("log").get_by_role("button").click()


def test_the_output_stays_at_its_end_unless_somebody_reads_further_up(
    page: Page, dashboard: Server, tmp_path: Path
) -> None:
    extend = tmp_path / "extend"
    command = f"seq 2000; until [ -e {extend} ]; do sleep 0.1; done; echo came later; sleep 600"
    card = start(page, dashboard, f"command&opt-command={command}", "prints")
    expect(card.get_by_test_id("state")).to_contain_text("Running")
    card.get_by_test_id("log").get_by_role("button").click()
    lines = card.get_by_test_id("log-lines")
    expect(lines.get_by_text("2000", exact=True)).to_be_visible()
    lines.hover()
    page.mouse.wheel(0, -5000)
    expect(lines.get_by_text("2000", exact=True)).to_have_count(0)
    box = lines.locator(".v-virtual-scroll")
    reading, height = lines.inner_text(), box.evaluate("box => box.scrollHeight")
    extend.touch()
    wait_until(lambda: box.evaluate("box => box.scrollHeight") > height, "the browser to have the next line")
    assert lines.inner_text() == reading
    page.mouse.wheel(0, 1_000_000)
    expect(lines.get_by_text("came later", exact=True)).to_be_visible()
    stop(card)


def test_an_environment_says_how_soon_it_is_usually_up(page: Page, dashboard: Server) -> None:
    for name in ("usual-1", "usual-2"):
        card = start(page, dashboard, "command&opt-command=sleep 1.5", name)
        expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=30_000)
    page.reload()
    usual = page.get_by_test_id("image-command").get_by_test_id("usual")
    expect(usual).to_contain_text("usually ready in about 0.5 min")
    expect(page.get_by_test_id("image-pytorch").get_by_test_id("usual"), "nothing is known of it").to_have_count(0)
