"""The form of the documents that makes a badge: the same link as the command's, without any network."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.repository import ROOT

from run_qarnot.hooks.manager import find_plugins
from run_qarnot.model.links import make_badge, make_link
from run_qarnot.model.repository import parse_repository
from run_qarnot.model.settings import read_settings

pytestmark = [pytest.mark.slow, pytest.mark.browser]
FORM = ROOT / "docs" / "badge.html"
BINDER = "https://mybinder.org/v2/gh/oumnix/jupyterlab_binder/HEAD?urlpath=run-qarnot%2F"
BASES = [BINDER, "https://dashboard.example.org", "https://hub.example.org/p/?theme=dark&opt-old=1&token=x"]


@pytest.fixture
def form(page: Page) -> Page:
    page.goto(FORM.as_uri())
    return page


@pytest.mark.parametrize("base", BASES)
def test_it_makes_the_link_and_the_badge_of_the_command(form: Page, base: str, tmp_path: Path) -> None:
    asked: list[str] = []
    form.on("request", lambda request: asked.append(request.url))
    catalog = find_plugins(read_settings({}, tmp_path)).catalog()
    repository = parse_repository("https://git.example.org/a/it's (odd)!*".replace(" ", "%20") + "@feature/x")
    values = {"image": "dask", "hours": "3", "machines": "4", "open": "a folder/été & co.ipynb", "base": base}
    for name, value in {**values, "git": str(repository)}.items():
        form.locator(f"#{name}").fill(value)
    link = make_link(
        base, catalog.get("dask"), hours=3, machines=4, repository=repository, opened=values["open"], options={}
    )
    assert form.locator("#link").input_value() == link
    assert form.locator("#markdown").input_value() == make_badge(link, catalog.get("dask"), repository)
    expect(form.locator("#problem")).to_be_empty()
    assert asked == []


def test_it_says_what_is_no_repository_and_no_dashboard(form: Page) -> None:
    for wrong in (
        "git@github.com:team/project",
        "https://anna:secret@example.org/x",
        "http://example.org/x",
        "project",
    ):
        form.locator("#git").fill(wrong)
        expect(form.locator("#problem")).to_contain_text("Write the address of the repository")
        expect(form.locator("#link")).to_have_value("")
    form.locator("#git").fill("https://github.com/team/project")
    expect(form.locator("#problem")).to_be_empty()
    form.locator("#base").fill("dashboard.example.org")
    expect(form.locator("#problem")).to_contain_text("Write the address of the dashboard")


def test_it_offers_the_environments_of_the_catalog(form: Page, tmp_path: Path) -> None:
    shown = form.locator("#images option").evaluate_all("options => options.map(option => option.value)")
    catalog = find_plugins(read_settings({}, tmp_path)).catalog()
    assert set(shown) == {image.id for image in catalog if not image.hidden and image.source == "images.toml"}
