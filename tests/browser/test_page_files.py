"""Files on the page: whole folders, and names that are there already."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.servers import Server

pytestmark = pytest.mark.browser


def test_a_folder_keeps_its_shape_and_a_twin_is_asked_about(page: Page, demo: Server, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("first")
    (tmp_path / "data" / "deep" / "b.txt").write_text("inside")
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("upload-folder").set_input_files(tmp_path / "data")
    rows = page.get_by_test_id("upload-list").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(page.get_by_test_id("upload-list")).to_contain_text("data/deep/b.txt")

    (tmp_path / "data" / "a.txt").write_text("a second version")
    page.get_by_test_id("upload-folder").set_input_files(tmp_path / "data")
    expect(page.get_by_test_id("twin")).to_contain_text("is in the list already")
    page.get_by_test_id("twin-replace").click()
    expect(page.get_by_test_id("twin")).to_contain_text("b.txt")
    page.get_by_test_id("twin-keep").click()
    expect(page.get_by_test_id("twin")).to_have_count(0)
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="data/a.txt")).to_contain_text("16 B · is here")
    expect(page.get_by_test_id("start")).to_be_enabled()
