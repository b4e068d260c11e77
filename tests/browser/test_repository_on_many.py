"""From the badge of a repository to a computation on four machines, one of which is lost in the middle, by the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from qarnot.connection import Connection
from support.command import CommandLine
from support.dask import nothing_is_left
from support.git_server import make_repository, serving
from support.ports import free_port
from support.servers import Server, running

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(300)]
COUNT = 60
SUM = sum(number * number for number in range(COUNT))
CODE = f"""import time
from dask.distributed import Client, as_completed
client = Client(timeout=60)
client.wait_for_workers(3, timeout=120)
def square(number):
    time.sleep(0.3)
    return number * number
futures = client.map(square, range({COUNT}), pure=False)
for done, _ in enumerate(as_completed(futures)):
    print(end=f"{{done}} " if done == 9 else "", flush=True)
print("the sum is", sum(client.gather(futures)))"""
CELL: dict[str, object] = {
    "cell_type": "code",
    "id": "one",
    "metadata": {},
    "source": CODE,
    "outputs": [],
    "execution_count": None,
}
KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
NOTEBOOK = json.dumps({"cells": [CELL], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    make_repository(tmp_path / "git" / "squares.git", {"work/squares.ipynb": NOTEBOOK, "README.md": "squares"})
    with serving(tmp_path / "git") as address:
        yield f"{address}squares.git"


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> CommandLine:
    return CommandLine.of_account(cluster, tmp_path)


@pytest.fixture
def dashboard(cli: CommandLine) -> Iterator[Server]:
    with running(cli, "dashboard", "--no-browser", "--port", free_port()) as server:
        server.address()
        yield server


def test_from_the_badge_to_the_right_result(
    page: Page, dashboard: Server, cli: CommandLine, cluster: LocalCluster, repository: str
) -> None:
    wanted = ("--git", f"{repository}@main", "--open", "work/squares.ipynb", "--machines", 4, "--hours", 1)
    link, badge = cli("link", "dask", *wanted, "--base", dashboard.address().partition("?")[0]).out.splitlines()
    assert badge == f"[![Open on Qarnot](https://img.shields.io/badge/open%20on-Qarnot-0E5A64)]({link})"

    # the badge fills the form, shows what it brings, and starts nothing
    page.goto(dashboard.address(link.partition("?")[2]))
    note = page.get_by_test_id("link-note")
    expect(note).to_contain_text(f"{repository}@main")
    expect(note).to_contain_text("work/squares.ipynb")
    expect(page.get_by_test_id("git")).to_have_value(f"{repository}@main")
    expect(page.get_by_test_id("machines")).to_have_value("4")
    expect(page.get_by_test_id("start")).to_be_enabled(timeout=60_000)
    account = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)
    assert list(account.all_tasks()) == []
    page.get_by_test_id("machines").fill("many")
    expect(page.get_by_test_id("blockers")).to_contain_text("whole number such as 4")
    page.get_by_test_id("machines").fill("4")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("squares")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()

    card = page.get_by_test_id("session-squares")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=120_000)
    expect(card.get_by_test_id("machine")).to_contain_text("4 of 4 machines", timeout=60_000)
    with page.expect_popup() as opened:
        card.get_by_test_id("open").click()
    lab = opened.value
    assert "/lab/tree/squares/work/squares.ipynb" in lab.url
    expect(lab.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    lab.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    lab.keyboard.press("Shift+Enter")
    output = lab.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text("9 ", timeout=60_000)
    (task,) = account.all_tasks()
    cluster.control.preempt(task.uuid, instances=[2])
    _opens_the_dask_dashboard(page, "http://127.0.0.1:")
    expect(output).to_contain_text(f"the sum is {SUM}", timeout=60_000)
    lab.close()

    # a visitor elsewhere gets there through the page's own address
    elsewhere = cli.with_environment(RUN_QARNOT_VISITORS="elsewhere")
    with running(elsewhere, "dashboard", "--no-browser", "--port", free_port()) as other:
        page.goto(other.address())
        expect(card.get_by_test_id("open")).to_be_visible(timeout=60_000)
        _opens_the_dask_dashboard(page, other.address().partition("?")[0] + "rq-")
    page.goto(dashboard.address())

    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    nothing_is_left()


def _opens_the_dask_dashboard(page: Page, address: str) -> None:
    with page.expect_popup() as shown:
        page.get_by_test_id("session-squares").get_by_test_id("link-0").click()
    expect(shown.value).to_have_title(re.compile("Dask"), timeout=30_000)
    assert shown.value.url.startswith(address)
    assert "/proxy/8787/status" in shown.value.url
    shown.value.close()
