"""Files on their way from a real browser: dropped folders, speed, cancel, and another try after a failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from support.servers import Server
from support.traffic import COUNT_SENT
from support.waiting import wait_until

from run_qarnot.page.uploads import PART_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.browser]

MB = 1_000_000
IN_FLIGHT = 5 * PART_BYTES  # what may be under way, and is sent again, and all messages beside


@pytest.fixture
def form(page: Page, demo: Server) -> Page:
    """The page, with an account and an empty list of files; `sent` is what it has sent to its kernel."""
    page.add_init_script(COUNT_SENT)
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible()
    return page


def row(page: Page, name: str) -> Locator:
    return page.get_by_test_id("upload-list").get_by_role("listitem").filter(has_text=name)


def large_file(path: Path, size: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def drop(page: Page, target: Locator, *paths: Path) -> None:
    """Drop files and folders as the system does: the browser itself opens them."""
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 10}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    session.detach()


def test_a_dropped_folder_keeps_its_shape(form: Page, tmp_path: Path) -> None:
    for number in range(120):  # the browser lists a folder a hundred entries at a time
        path = tmp_path / "data" / "deep" / f"{number:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}")
    (tmp_path / "beside.txt").write_text("not in the folder")
    drop(form, form.locator(".rq-drop").first, tmp_path / "data", tmp_path / "beside.txt")
    expect(form.get_by_test_id("upload-summary")).to_contain_text("121 / 121 uploaded")
    expect(form.get_by_test_id("upload-list").get_by_role("listitem"), "a folder is one line").to_have_count(2)
    expect(form.get_by_test_id("uploaded-folder")).to_contain_text("120 / 120 uploaded")
    form.get_by_role("button", name="deep/").click()
    expect(form.get_by_test_id("upload-summary"), "a screenful is shown").to_contain_text("not all are shown")
    expect(form.get_by_test_id("upload-list").get_by_role("listitem")).to_have_count(102)
    expect(row(form, "deep/000.txt")).to_contain_text("1 B · uploaded")
    form.get_by_test_id("upload").set_input_files(tmp_path / "beside.txt")
    expect(form.get_by_test_id("twin"), "one that is not shown is known all the same").to_contain_text("beside.txt")
    expect(form.get_by_test_id("start")).to_be_enabled()


def test_an_empty_folder_is_named(form: Page, tmp_path: Path) -> None:
    (tmp_path / "nothing" / "inside").mkdir(parents=True)
    (tmp_path / "some" / "hollow").mkdir(parents=True)
    (tmp_path / "some" / "a.txt").write_text("a")
    drop(form, form.locator(".rq-drop").first, tmp_path / "nothing", tmp_path / "some")
    said = "Not added (1): nothing. Reason for the first one: There is no file in it."
    expect(form.get_by_text(said, exact=True)).to_be_visible()
    expect(row(form, "a.txt")).to_contain_text("1 B · uploaded")
    expect(form.get_by_test_id("upload-list").get_by_role("listitem")).to_have_count(1)


def test_speed_and_time_left_are_shown_and_a_file_can_be_cancelled(form: Page, home: Path, tmp_path: Path) -> None:
    upload = form.get_by_test_id("upload")
    upload.set_input_files([large_file(tmp_path / "large.bin", 3000 * MB), large_file(tmp_path / "small.bin", MB)])
    large, small = row(form, "large.bin"), row(form, "small.bin")
    expect(large).to_contain_text(re.compile(r"[\d.]+ [GMk]?B / 3 GB · [\d.]+ [GMk]B/s · .*\d+ s left"))
    expect(small).to_contain_text("waiting")
    # a mouse would wait until nothing moves, and a busy machine write gigabytes meanwhile
    large.get_by_role("button", name="Cancel large.bin").press("Enter")
    expect(large).to_have_count(0)
    expect(small).to_contain_text("1 MB · uploaded")
    folder = home / "tmp"
    wait_until(lambda: not [path for path in folder.rglob("*") if _size(path) > MB], "the cancelled file to be erased")


def test_a_file_that_cannot_be_read_for_a_while_is_tried_again_and_keeps_what_arrived(
    form: Page, tmp_path: Path
) -> None:
    file, away = large_file(tmp_path / "large.bin", 240 * MB), tmp_path / "away"
    form.get_by_test_id("upload").set_input_files(file)
    broken = row(form, "large.bin")
    expect(broken).to_contain_text("/s")
    file.rename(away)
    expect(broken).to_contain_text("The browser cannot read it any more")
    expect(form.get_by_test_id("blockers")).to_contain_text("Try “large.bin” again")
    assert PART_BYTES < form.evaluate("sent") < 240 * MB
    away.rename(file)
    broken.get_by_role("button", name="Try again large.bin").click()
    expect(broken).to_contain_text("240 MB · uploaded", timeout=60_000)
    expect(form.get_by_test_id("start")).to_be_enabled()
    assert form.evaluate("sent") < 240 * MB + IN_FLIGHT


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # gone meanwhile
        return 0
