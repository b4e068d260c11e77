"""An open tab of JupyterLab keeps no session on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.command import CommandLine
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]


def test_a_notebook_that_is_open_in_a_tab_keeps_no_session_on(
    cluster: LocalCluster, tmp_path: Path, page: Page
) -> None:
    cli = CommandLine.of_account(cluster, tmp_path)
    cli("launch", "base", "--name", "idle", "--idle", "1.5", timeout=150)
    opened = cli.start("open", "idle", "--no-browser")
    try:
        assert opened.stdout is not None
        page.goto(next(line.strip() for line in opened.stdout if "/lab" in line), timeout=80_000)
        page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=60_000)
        expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible(timeout=60_000)
        wait_until(lambda: show(cli)["idle_stop"], "it to be idle, though the tab is open", 90)
        assert show(cli)["state"] == "ready"
        wait_until(lambda: show(cli)["state"] == "ended", "it to stop, though the tab is open", 150)
        assert show(cli)["reason"] == "idle"
        assert page.locator(".jp-Notebook").is_visible()
    finally:
        opened.terminate()
        opened.communicate(timeout=20)


def show(cli: CommandLine) -> dict[str, str | None]:
    found: dict[str, str | None] = json.loads(cli("show", "idle", "--json").out)
    return found
