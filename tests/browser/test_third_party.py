"""Somebody else's package, built as a wheel and installed in a fresh environment: its image is on the page."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support import servers
from support.command import CommandLine, clean_environment
from support.packages import Environment, build_wheel

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_the_image_of_an_installed_package_is_on_the_page(page: Page, tmp_path: Path) -> None:
    # The Jupyter extensions of our own needs are where the tests have theirs, like their packages.
    jupyter = str(Path(sysconfig.get_path("data")) / "share" / "jupyter")
    cli = CommandLine(tmp_path, clean_environment(HOME=str(tmp_path), JUPYTER_PATH=jupyter))
    cli("new-plugin", "third_party", "--package")
    environment = Environment.make(tmp_path / "environment")
    environment.install(build_wheel(tmp_path / "third-party", tmp_path / "dist"))

    with servers.dashboard(CommandLine(tmp_path, cli.environment, environment.python)) as dashboard:
        page.goto(dashboard.address())
        card = page.get_by_test_id("image-third-party")
        expect(card).to_be_visible()
        card.click()
        expect(card.get_by_role("radio")).to_be_checked()
        expect(page.get_by_test_id("start")).to_contain_text("Third party")
        expect(page.get_by_test_id("image-broken")).to_have_count(0)
