"""What goes wrong on the page gets a sentence beside it, and nothing that was entered is lost."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from playwright.sync_api import Page, expect
from support import servers
from support.command import CommandLine
from support.servers import Server, files_with
from support.traffic import Traffic
from support.visitor import sign_in, stop

from qarnot_local import LocalCluster

pytestmark = pytest.mark.browser

BROKEN = """
schema = 1
[images.base]
title = "JupyterLab"
repo = "qarnotlab/jupyterlab-base"
tag = "v1"
[images.fails]
title = "Fails"
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sh -c 'echo these are the last words; exit 3'"
[images.bad]
titel = "Misspelt"
"""


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The dashboard as on a server that knows no account."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "images.toml").write_text(BROKEN)
    with servers.dashboard(CommandLine.at(cluster, folder)) as server:
        yield server


def test_tokens(page: Page, traffic: Traffic, dashboard: Server, cluster: LocalCluster, tmp_path: Path) -> None:
    page.goto(dashboard.address())
    token = page.get_by_test_id("token")
    expect(token).to_have_attribute("type", "password")
    expect(page.get_by_test_id("start")).to_be_disabled()
    expect(page.get_by_test_id("blockers")).to_contain_text("token")

    token.press("Enter")
    expect(page.get_by_test_id("account-error")).to_contain_text("No Qarnot token was given")
    token.fill("a-token-that-is-wrong")
    token.press("Enter")
    expect(page.get_by_test_id("account-error")).to_contain_text("does not accept this token")
    token.fill(f"  {cluster.token} ")
    token.press("Enter")
    expect(page.get_by_test_id("account")).to_contain_text(cluster.email)
    expect(page.get_by_text("Spaces around the token")).to_be_visible()
    expect(page.get_by_test_id("start")).to_be_enabled()

    assert not traffic.holds(cluster.token), "the token came back to the browser"
    assert cluster.token not in page.content()
    assert cluster.token not in dashboard.printed
    (tmp_path / "personal.csv").write_text("1,2")
    page.get_by_test_id("upload").set_input_files(tmp_path / "personal.csv")
    expect(page.get_by_test_id("upload-list")).to_contain_text("uploaded")
    page.get_by_test_id("change").click()
    expect(page.get_by_test_id("token")).to_have_value("")
    expect(page.get_by_test_id("upload-list")).to_have_count(0)
    assert "personal.csv" not in page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")


def test_an_error_can_be_reported_without_its_secret(page: Page, dashboard: Server) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(dashboard.address())
    page.get_by_test_id("token").fill("a-token-that-is-wrong")
    page.get_by_test_id("token").press("Enter")
    error = page.get_by_test_id("account-error")
    error.get_by_text("Details").click()
    error.get_by_test_id("copy-report").click()
    expect(error.get_by_test_id("copy-report")).to_have_text("Copied")
    report = page.evaluate("navigator.clipboard.readText()")
    assert re.match(r"Run Qarnot [\d.]+, Python [\d.]+: token-refused\n", report)
    assert "does not accept this token" in report
    assert "a-token-that-is-wrong" not in report
    error.get_by_role("button", name="Close").click()
    expect(error).to_have_count(0)


def test_a_private_key_is_erased_before_it_leaves_the_browser(
    page: Page, dashboard: Server, cluster: LocalCluster, tmp_path: Path
) -> None:
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    private = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    page.get_by_test_id("more").click()
    page.get_by_test_id("ssh-key").fill(private)
    expect(page.get_by_test_id("key-refused")).to_contain_text("private key")
    expect(page.get_by_test_id("ssh-key")).to_have_value("")
    secret = private.splitlines()[2]
    assert not any(secret in (frame if isinstance(frame, str) else frame.decode("latin-1")) for frame in sent)
    page.get_by_test_id("ssh-key").fill("not a key at all")
    expect(page.get_by_test_id("blockers")).to_contain_text("not an OpenSSH public key")


def test_a_bad_entry_is_greyed_with_its_reason_and_the_rest_works(
    page: Page, dashboard: Server, cluster: LocalCluster
) -> None:
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    expect(page.get_by_test_id("image-broken")).to_contain_text("titel")
    expect(page.get_by_test_id("image-broken")).to_contain_text("did you mean “title”?")
    expect(page.get_by_test_id("image-base")).to_be_enabled()


def test_a_failed_session_says_why_shows_its_last_lines_and_the_form_is_kept(
    page: Page, dashboard: Server, cluster: LocalCluster, tmp_path: Path
) -> None:
    name = f"will-fail-{secrets.token_hex(3)}"
    (tmp_path / "kept.txt").write_text("kept")
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    page.get_by_test_id("image-fails").click()
    page.get_by_test_id("upload").set_input_files(tmp_path / "kept.txt")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill(name)
    page.get_by_test_id("hours").fill("18.30")
    expect(page.get_by_test_id("blockers")).to_contain_text("“18.30” could be a time of the day, or a number of hours.")
    page.get_by_test_id("hours").fill("8:00")
    expect(page.get_by_test_id("blockers")).to_contain_text("Write 08:00 for the time, or 8 h for the hours.")
    expect(page.get_by_text("Stops at")).to_have_count(0)
    page.get_by_test_id("hours").fill("1h30")
    expect(page.get_by_test_id("start")).to_be_enabled()
    expect(page.get_by_text("Stops at")).to_be_visible()
    page.get_by_test_id("hours").fill("2")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    card = page.get_by_test_id(f"session-{name}")
    expect(card.get_by_test_id("state")).to_contain_text("Failed", timeout=30_000)
    expect(card.get_by_test_id("error")).to_contain_text(re.compile(r"\w{4}"))
    expect(card.get_by_test_id("log-lines")).to_contain_text("these are the last words")
    card.get_by_test_id("again").click()
    expect(page.get_by_test_id("from").locator("option:checked"), "its files come along").to_contain_text(name)
    expect(page.get_by_test_id("hours")).to_have_value("2")
    expect(page.get_by_test_id("name")).not_to_have_value(name)
    expect(page.get_by_test_id("start")).to_be_enabled()


def test_the_users_own_key_gives_her_own_connections(
    page: Page, dashboard: Server, cluster: LocalCluster, tmp_path: Path
) -> None:
    public = asyncssh.generate_private_key("ssh-ed25519", comment="me").export_public_key().decode()
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("own-key")
    page.get_by_test_id("ssh-key").fill(public)
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-own-key")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    if card.get_by_test_id("connections").get_attribute("aria-expanded") == "false":
        card.get_by_test_id("connections").click()
    expect(card.get_by_test_id("ssh-command")).to_contain_text("ssh -N -L")
    expect(card.get_by_test_id("vscode")).to_have_attribute("href", re.compile("^vscode://vscode-remote/ssh-remote"))
    stop(card, 30_000)


def test_no_token_was_written_anywhere(
    dashboard: Server, cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = next(tmp_path_factory.getbasetemp().glob("dashboard*"))
    assert files_with(cluster.token, folder) == []
