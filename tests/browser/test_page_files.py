"""Files on the page: whole folders, and names that are there already."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_a_folder_keeps_its_shape_and_a_twin_is_asked_about(page: Page, demo: Server, tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("first")
    (tmp_path / "data" / "deep" / "b.txt").write_text("inside")
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("upload-folder").set_input_files(tmp_path / "data")
    rows = page.get_by_test_id("upload-list").get_by_role("listitem")
    expect(rows).to_have_count(2)
    expect(page.get_by_test_id("upload-list")).to_contain_text("deep/b.txt")

    (tmp_path / "data" / "a.txt").write_text("a second version")
    page.get_by_test_id("upload-folder").set_input_files(tmp_path / "data")
    expect(page.get_by_test_id("twin")).to_contain_text("is already in the list")
    page.get_by_test_id("twin-replace").click()
    expect(page.get_by_test_id("twin")).to_contain_text("b.txt")
    page.get_by_test_id("twin-keep").click()
    expect(page.get_by_test_id("twin")).to_have_count(0)
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="a.txt")).to_contain_text("16 B · uploaded")
    expect(page.get_by_test_id("start")).to_be_enabled()


def test_a_page_that_is_loaded_anew_remembers_which_files_were_chosen(page: Page, demo: Server, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for file in files:
        file.write_text(file.name)
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    note = page.get_by_test_id("remembered")
    expect(note).to_have_count(0)
    page.get_by_test_id("upload").set_input_files(files)
    expect(page.get_by_test_id("upload-list").get_by_text("uploaded")).to_have_count(3)
    page.get_by_role("button", name="Remove c.txt").click()
    expect(page.get_by_test_id("upload-list")).not_to_contain_text("c.txt")

    page.reload()
    expect(note).to_contain_text("a.txt, b.txt")
    page.get_by_test_id("upload").set_input_files(files[0])
    expect(page.get_by_test_id("upload-list")).to_contain_text("uploaded")
    expect(note).not_to_contain_text("a.txt")
    page.get_by_test_id("remembered-forget").click()
    expect(note).to_have_count(0)


def test_files_are_added_while_the_session_runs(page: Page, demo: Server, tmp_path: Path) -> None:
    command = "until [ -s extra.txt ]; do sleep 0.1; done; cat extra.txt > got.txt"
    page.goto(demo.address(f"opt-image=command&opt-hours=1&opt-command={command}"))
    expect(page.get_by_test_id("account")).to_be_visible()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("waits-for-more")
    page.get_by_test_id("start").click()
    card = page.get_by_test_id("session-waits-for-more")
    expect(card.get_by_test_id("state")).to_contain_text("Running", timeout=60_000)
    (tmp_path / "extra.txt").write_text("came later")
    card.get_by_test_id("add").click()
    card.get_by_test_id("add-upload").set_input_files(tmp_path / "extra.txt")
    card.get_by_test_id("add-send").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    card.get_by_role("button", name="got.txt", exact=True).click()
    expect(card.get_by_test_id("preview")).to_contain_text("came later")
