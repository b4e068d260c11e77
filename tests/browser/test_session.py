"""A newcomer without an account: from the page to a JupyterLab and back with a zip. The demo, in a real Chromium."""

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from support.jupyter import Jupyter
from support.servers import Server, files_with
from support.traffic import Traffic
from support.waiting import wait_until

pytestmark = pytest.mark.browser


def test_upload_start_open_reload_stop_download(
    page: Page, traffic: Traffic, demo: Server, home: Path, tmp_path: Path
) -> None:
    address = demo.address()
    page.goto(address)
    expect(page.get_by_test_id("account")).to_contain_text("@")
    expect(page.get_by_test_id("token")).to_have_count(0)
    expect(page.get_by_test_id("image-overnight"), "the drop-in plugin's image is shown").to_be_visible()

    data = tmp_path / "data.csv"
    data.write_bytes(b"x,y\n" + b"1,2\n" * 2_000_000)  # two parts of the upload
    page.get_by_test_id("upload").set_input_files(data)
    expect(page.get_by_test_id("upload-list")).to_contain_text("data.csv")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("Not A Name")
    expect(page.get_by_test_id("blockers")).to_contain_text("Not A Name")
    expect(page.get_by_test_id("start")).to_be_disabled()
    page.get_by_test_id("name").fill("browser-test")
    expect(page.get_by_test_id("start")).to_be_enabled()
    page.get_by_test_id("start").click()

    card = page.get_by_test_id("session-browser-test")
    expect(card.get_by_test_id("phase")).not_to_be_empty()
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    link = card.get_by_test_id("open")
    with page.expect_popup() as popup:
        link.click()
    lab = popup.value
    expect(lab.get_by_text("data.csv").first).to_be_visible(timeout=60_000)
    expect(lab, "it runs under a path of its own").to_have_url(re.compile(r"//[^/]+/rq-[0-9a-f]{12}/lab"))
    lab.reload()
    expect(lab.get_by_text("data.csv").first, "also after a reload").to_be_visible(timeout=60_000)
    jupyter = Jupyter(link.get_attribute("href") or "")
    assert jupyter.run("print(len(open('data.csv').read()))") == f"{data.stat().st_size}\n"
    jupyter.run("open('made.txt', 'w').write('made in the session')")
    lab.close()

    page.reload()
    expect(card.get_by_test_id("state"), "a reload finds the session again").to_contain_text("Ready", timeout=60_000)
    wait_until(
        Jupyter(card.get_by_test_id("open").get_attribute("href") or "").answers, "the door of the reloaded page"
    )

    card.get_by_test_id("save").click()
    expect(card).to_contain_text("Last saved")
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    with page.expect_download() as download:
        card.get_by_test_id("download").click()
    download.value.save_as(tmp_path / "results.zip")
    with zipfile.ZipFile(tmp_path / "results.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("made.txt") == b"made in the session"

    token = demo.token()
    assert traffic.frames > 10
    assert not traffic.holds(token), "the token reached the browser"
    assert token not in page.content()
    assert traffic.hosts <= {"localhost", "127.0.0.1", ""}, "a request left this machine"
    assert token not in demo.printed
    assert files_with(token, home) == []
