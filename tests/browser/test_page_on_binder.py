"""The page on Binder: what repo2docker would build of this repository, started as BinderHub starts it, in Chromium."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from playwright.sync_api import Page, expect
from support import binder
from support.lab import run_a_cell
from support.pictures import take_picture
from support.visitor import open_app, start
from support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS_FOR_IMAGE = 900  # on a busy machine, with nothing in pip's cache
ANSWERS_SOON = 90_000


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[binder.Image, list[subprocess.CompletedProcess[str]]]]:
    folder = Path(tempfile.mkdtemp(prefix="rq-"))  # short: paths of sockets have a limit
    yield binder.build(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def server(built: tuple[binder.Image, list[subprocess.CompletedProcess[str]]]) -> Iterator[binder.Server]:
    with binder.running(built[0]) as running:
        yield running


def file_of(megabytes: int, folder: Path) -> Path:
    path = folder / f"{megabytes}.bin"
    with path.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    return path


def kernels_of_pages(server: binder.Server) -> list[psutil.Process]:
    """Not those of sessions, which run beside the page, too."""
    found = []
    for process in server.processes():
        with contextlib.suppress(psutil.Error):
            if "ipykernel_launcher" in " ".join(process.cmdline()) and "RUN_QARNOT_DOWNLOADS" in process.environ():
                found.append(process)
    return found


@pytest.mark.timeout(SECONDS_FOR_IMAGE)
def test_the_image_is_built_and_its_last_step_can_be_done_again(
    built: tuple[binder.Image, list[subprocess.CompletedProcess[str]]],
) -> None:
    image, steps = built
    assert len(steps) == 2, "the requirements, and postBuild"
    for step in [*steps, image.run("./binder/postBuild"), image.run("pip check")]:
        assert step.returncode == 0, f"{step.args}\n{step.stdout}\n{step.stderr}"
    assert not (image.home / ".jupyter").exists(), "nothing is configured in the visitor's home"


def test_the_badge_opens_the_page_which_says_where_it_is(page: Page, server: binder.Server, tmp_path: Path) -> None:
    readme = (server.image.home / "README.md").read_text()
    (badge,) = re.findall(r"\((https://mybinder\.org/v2/[^)]+)\)", readme)
    (path,) = parse_qs(urlsplit(badge).query)["urlpath"]
    page.goto(server.address(path))
    expect(page.get_by_test_id("start")).to_be_visible(timeout=ANSWERS_SOON)
    assert page.url == f"{server.url}run-qarnot/", "the login token does not stay in the address bar"
    expect(page.get_by_test_id("binder-note")).to_contain_text("mybinder.org")
    expect(page.get_by_test_id("token")).to_be_visible()
    expect(page.get_by_test_id("try-here")).to_be_visible()
    expect(page.get_by_test_id("link-note"), "its own token is no alarm").to_have_count(0)
    page.get_by_test_id("upload").set_input_files(file_of(20, tmp_path))
    expect(page.get_by_test_id("upload-onward"), "at 1 Mbit/s").to_contain_text("about 2.5 min")
    take_picture(page, "binder-page", whole=True)


def test_a_link_within_the_path_fills_the_form_and_what_is_shared_launches_again(
    page: Page, server: binder.Server
) -> None:
    page.goto(server.address("run-qarnot/?opt-image=command&opt-hours=3&opt-command=echo%20a%20%26%20b"))
    expect(page.get_by_test_id("option-command")).to_have_value("echo a & b", timeout=ANSWERS_SOON)
    page.get_by_test_id("share").last.click()
    shared = urlsplit(page.get_by_test_id("share-link").inner_text())
    assert f"{shared.scheme}://{shared.netloc}{shared.path}" == f"https://mybinder.org/{binder.REQUEST}"
    (inside,) = parse_qs(shared.query)["urlpath"]
    assert inside.startswith("run-qarnot/?opt-image=command&opt-hours=3&")
    assert server.token not in shared.query
    page.goto(server.address(inside))
    expect(page.get_by_test_id("option-command")).to_have_value("echo a & b", timeout=ANSWERS_SOON)
    take_picture(page, "binder-second-person", whole=True)


def test_it_is_tried_without_an_account_within_the_memory_of_binder(
    page: Page, server: binder.Server, tmp_path: Path
) -> None:
    page.goto(server.address("run-qarnot/"))
    page.get_by_test_id("try-here").click(timeout=ANSWERS_SOON)
    expect(page.get_by_test_id("account")).to_contain_text("you@localhost", timeout=ANSWERS_SOON)
    for megabytes in (1, 20, 200):
        page.get_by_test_id("upload").set_input_files(file_of(megabytes, tmp_path))
    expect(page.get_by_test_id("upload-onward"), "the cluster is beside the page").to_have_count(0)
    card = start(page, "on-binder", ANSWERS_SOON)
    lab = open_app(page, card)
    run_a_cell(lab)
    take_picture(lab, "binder-cell")
    assert lab.url.startswith(f"{server.url}run-qarnot/rq-")
    assert server.memory() < binder.MEMORY_LIMIT

    page.reload()
    expect(page.get_by_test_id("account"), "no token is asked for again").to_contain_text(
        "you@localhost", timeout=ANSWERS_SOON
    )
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=ANSWERS_SOON)
    wait_until(lambda: len(kernels_of_pages(server)) == 1, "the kernel of before to end")
    page.goto("about:blank")
    wait_until(lambda: not kernels_of_pages(server), "the last kernel to end")
    assert "Traceback" not in server.log
