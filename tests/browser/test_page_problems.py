"""What speaks against a start, and what is wrong with catalog and plugins: said where one looks for it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support import servers
from support.command import CommandLine
from support.repository import ROOT
from support.servers import Server
from support.traffic import Traffic
from support.visitor import sign_in
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]

CATALOG = """
schema = 1
[images.greeting]
title = "Greeting"
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sh -c 'echo hello $WHOM'"
[images.greeting.options.whom]
label = "Whom"
help = "Somebody to be greeted."
regex = "[a-z ]+"
message = "Write a name in small letters."
default = ""
constant = "WHOM"
[images.theirs]
title = "Theirs"
profile = "docker-network-ssh"
repo = "team/lab"
[images.bad]
titel = "Misspelt"
icon = "mdi-nothing"
"""


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("problems")
    (folder / "images.toml").write_text(CATALOG)
    (folder / "plugins").mkdir()
    shutil.copy(ROOT / "plugins" / "policy.py", folder / "plugins")
    (folder / "plugins" / "broken.py").write_text("a_line_of_the_source = 1 / 0\n")
    admins = f"somebody@example.org, {cluster.email.upper()}"
    cli = CommandLine.at(cluster, folder, RUN_QARNOT_ADMINS=admins, RUN_QARNOT_MOST_HOURS="2")
    with servers.dashboard(cli) as server:
        yield server


def test_each_has_its_row_and_a_traceback_waits_for_the_admin(
    page: Page, dashboard: Server, cluster: LocalCluster, traffic: Traffic
) -> None:
    page.goto(dashboard.address())
    rows = page.get_by_test_id("image-broken")
    expect(rows).to_have_count(2)
    entry, plugin = rows.filter(has_text="images.toml"), rows.filter(has_text="broken.py")
    expect(entry).to_contain_text("images.toml · bad cannot be used")
    expect(entry).to_contain_text("did you mean “title”?")
    expect(entry).to_contain_text("there is no icon of this name")
    expect(plugin).to_contain_text("broken.py has a problem")
    expect(plugin).to_contain_text("ZeroDivisionError")
    assert not traffic.holds("a_line_of_the_source")
    expect(page.get_by_test_id("image-greeting").get_by_role("radio"), "the rest works").to_be_checked()

    sign_in(page, cluster.token)
    plugin.get_by_text("has a problem").click()
    expect(plugin.get_by_test_id("image-broken-details")).to_contain_text("a_line_of_the_source = 1 / 0")
    page.get_by_test_id("change").click()
    expect(page.get_by_test_id("image-broken-details")).to_have_count(0)


def test_an_image_that_the_local_cluster_does_not_play_is_marked_and_not_started(
    page: Page, dashboard: Server, cluster: LocalCluster
) -> None:
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    expect(page.get_by_test_id("not-here")).to_have_count(1)
    expect(page.get_by_test_id("image-theirs").get_by_test_id("not-here")).to_contain_text(
        "not available on this cluster"
    )
    page.get_by_test_id("image-theirs").click()
    expect(page.get_by_test_id("blockers")).to_contain_text("Theirs")
    expect(page.get_by_test_id("start")).to_be_disabled()
    assert cluster.control.count("POST", "/tasks") == 0


def test_a_field_that_must_be_filled_in_says_so_and_start_says_why(
    page: Page, dashboard: Server, cluster: LocalCluster
) -> None:
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    field = page.get_by_test_id("option-whom")
    expect(field).to_have_attribute("aria-required", "true")
    expect(page.get_by_test_id("option-required")).to_contain_text("Required. Write a name in small letters.")
    expect(field).to_have_accessible_description(re.compile("Somebody to be greeted. Required."))
    expect(page.get_by_test_id("start")).to_be_disabled()
    expect(page.get_by_test_id("blockers")).to_contain_text("Whom must be filled in. Write a name in small letters.")
    field.fill("Ada")
    expect(page.get_by_test_id("blockers")).to_contain_text("“Ada” is not valid for Whom")
    field.fill("ada")
    expect(page.get_by_test_id("start")).to_be_enabled()


def test_what_a_plugin_refuses_is_said_beside_start_and_the_form_is_kept(
    page: Page, dashboard: Server, cluster: LocalCluster
) -> None:
    page.goto(dashboard.address())
    sign_in(page, cluster.token)
    page.get_by_test_id("option-whom").fill("ada")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("too-long")
    page.get_by_test_id("hours").fill("3")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    refusal = page.get_by_test_id("start-error")
    expect(refusal).to_contain_text("It was not started: here, sessions may take 2 hours at most")
    expect(refusal).to_contain_text("The rule comes from “policy.py”.")
    expect(refusal).to_be_in_viewport()
    expect(page.get_by_test_id("session-too-long")).to_have_count(0)
    expect(page.get_by_test_id("option-whom")).to_have_value("ada")
    page.get_by_test_id("hours").fill("2")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()
    expect(page.get_by_test_id("session-too-long")).to_be_visible()
    expect(refusal).to_have_count(0)
    expect(page.get_by_test_id("session-too-long").get_by_test_id("state")).to_contain_text("Ended", timeout=30_000)


SPEAKS = """
import logging, os, subprocess, sys, threading
from run_qarnot import hookimpl

token = os.environ["QARNOT_CLIENT_TOKEN"]  # now: it is taken away when it has been read

def speak():
    logging.getLogger("speaks").warning("logged by %s", token)
    print("printed by", token)
    print("complained of by", token, file=sys.stderr)
    subprocess.run(["echo", "a program of", token[:4]])
    raise RuntimeError("raised by " + token)

@hookimpl
def rq_images():
    threading.Timer(1, speak).start()  # after the hook, whose own prints are a row on the page
    return []
"""


def test_what_a_kernel_says_is_for_the_servers_terminal_and_never_for_a_visitor(
    page: Page, cluster: LocalCluster, traffic: Traffic, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "speaks.py").write_text(SPEAKS)
    with servers.dashboard(CommandLine.of_account(cluster, tmp_path)) as server:
        page.goto(server.address())
        expect(page.get_by_test_id("account")).to_be_visible()
        wait_until(lambda: "raised by" in server.printed, "the plugin to speak")
        for words in ("logged by", "printed by", "complained of by", "raised by"):
            assert f"{words} [hidden]" in server.printed
            assert not traffic.holds(words)
        assert not traffic.holds("a program of")
        assert cluster.token not in server.printed
        assert not traffic.holds(cluster.token)
