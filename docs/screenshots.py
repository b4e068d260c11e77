"""Makes the pictures and the animation of README and docs from the running product: `make screenshots`.

The animation is a series of pictures, each shown for some seconds with a line that says what happens.
"""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import CommandLine, clean_environment  # noqa: E402
from support.lab import run_a_cell  # noqa: E402
from support.servers import Server, running  # noqa: E402

DATA = "time,temperature\n0,19.5\n1,19.8\n"
SIZE: ViewportSize = {"width": 960, "height": 720}  # pixels
PHONE: ViewportSize = {"width": 390, "height": 844}
CATALOG = """
[images.base]
title = "JupyterLab"
summary = "Python and the usual scientific packages"
repo = "qarnotlab/jupyterlab-base"
tag = "v1"

[images.fails]
title = "A simulation"
summary = "Runs one command, then stops by itself"
app = "batch"
repo = "library/ubuntu"
profile = "docker-batch"
command = "sh -c 'echo reading parameters.json; echo parameters.json is not there; exit 3'"
"""
CAPTION_HEIGHT = 48  # pixels


@dataclass
class Tour:
    """The animation, frame by frame."""

    frames: list[Image.Image] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def show(self, page: Page, caption: str, seconds: float = 4) -> None:
        """Add what the window of a page shows now, with a line below it."""
        picture = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide")))
        frame = Image.new("RGB", (SIZE["width"], SIZE["height"] + CAPTION_HEIGHT), "#0f5560")
        frame.paste(picture, (0, 0))
        font = ImageFont.load_default(20)
        ImageDraw.Draw(frame).text((24, frame.height - CAPTION_HEIGHT // 2), caption, "white", font, anchor="lm")
        self.frames.append(frame)
        self.seconds.append(seconds)

    def save(self, path: Path) -> None:
        """Write all frames as an animated WebP."""
        first, *others = self.frames
        durations = [round(1000 * seconds) for seconds in self.seconds]
        first.save(path, save_all=True, append_images=others, duration=durations, loop=0, quality=70, method=6)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        (home / "measurements.csv").write_text(DATA)
        (home / "images.toml").write_text(CATALOG)
        cli = CommandLine(home, clean_environment(HOME=folder, RUN_QARNOT_PLUGINS=str(ROOT / "plugins")))
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        with running(cli, "demo", "--no-browser") as demo:
            take_all(browser, demo, home)
        browser.close()


def take_all(browser: Browser, demo: Server, home: Path) -> None:
    page = browser.new_page(viewport=SIZE, locale="en-GB")
    tour = Tour()
    start(page, demo, home, tour)
    card = page.get_by_test_id("session-calm-heron-42")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    expect(card.get_by_test_id("usage")).to_be_visible(timeout=60_000)
    take(page, "page", whole=True)
    card.scroll_into_view_if_needed()
    tour.show(page, "Ready: the machine, its load, what it costs, and when it stops")
    take_part(card, "ready")
    work(page, card, tour)
    end(page, card, tour)
    tour.save(PICTURES / "tour.webp")
    fail(page)
    on_a_phone(browser, demo)


def start(page: Page, demo: Server, home: Path, tour: Tour) -> None:
    page.goto(demo.address("opt-image=base&opt-hours=4"))
    expect(page.get_by_test_id("account")).to_be_visible(timeout=60_000)
    tour.show(page, "A badge, a link or an address opens the page; a link fills it in", 6)
    page.get_by_test_id("link-note").get_by_role("button").click()
    page.get_by_test_id("upload").set_input_files(home / "measurements.csv")
    expect(page.get_by_test_id("upload-list")).to_contain_text("uploaded", timeout=60_000)
    page.get_by_test_id("upload-list").scroll_into_view_if_needed()
    tour.show(page, "Drop your files, say for how long, press Start")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("calm-heron-42")
    page.get_by_test_id("more").click()
    page.get_by_test_id("start").click(timeout=60_000)
    card = page.get_by_test_id("session-calm-heron-42")
    expect(card.get_by_test_id("phase")).not_to_be_empty(timeout=60_000)
    card.scroll_into_view_if_needed()
    tour.show(page, "Start: files travel, a machine is found, the app starts")


def work(page: Page, card: Locator, tour: Tour) -> None:
    with page.expect_popup() as popup:
        card.get_by_test_id("open").click()
    lab = popup.value
    lab.set_viewport_size(SIZE)
    lab.locator(".jp-LauncherCard").first.wait_for(timeout=90_000)
    tour.show(lab, "Open JupyterLab: your files are there")
    run_a_cell(lab)
    tour.show(lab, "Work. Results are saved every five minutes", 6)
    lab.close(run_before_unload=False)


def end(page: Page, card: Locator, tour: Tour) -> None:
    page.bring_to_front()
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-confirm").scroll_into_view_if_needed()
    tour.show(page, "Stop: everything is saved first")
    card.get_by_test_id("stop-confirm").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)
    expect(card.get_by_test_id("results")).to_be_visible(timeout=60_000)
    card.scroll_into_view_if_needed()
    tour.show(page, "Results: as files or one zip, today or next week")
    take_part(card, "results")
    page.reload()
    expect(card.get_by_test_id("continue")).to_be_visible(timeout=60_000)
    card.scroll_into_view_if_needed()
    tour.show(page, "Tomorrow, Continue: the same name, link, files and packages", 6)
    take_part(card, "ended")


def fail(page: Page) -> None:
    page.get_by_test_id("image-fails").click()
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("first-run")
    page.get_by_test_id("start").click(timeout=60_000)
    card = page.get_by_test_id("session-first-run")
    expect(card.get_by_test_id("state")).to_contain_text("Failed", timeout=60_000)
    expect(card.get_by_test_id("error")).to_be_visible(timeout=60_000)
    take_part(card, "failed")


def on_a_phone(browser: Browser, demo: Server) -> None:
    context = browser.new_context(viewport=PHONE, locale="fr-FR", color_scheme="dark")
    page = context.new_page()
    page.goto(demo.address())
    expect(page.get_by_test_id("account")).to_be_visible(timeout=60_000)
    take(page, "phone")
    context.close()


def take(page: Page, name: str, *, whole: bool = False) -> None:
    page.mouse.move(0, 0)
    if whole:  # as tall a window as the page is: what is sticky stays where it belongs
        page.set_viewport_size({**SIZE, "height": page.evaluate("document.documentElement.scrollHeight")})
    save(page.screenshot(animations="disabled"), name)
    if whole:
        page.set_viewport_size(SIZE)


def take_part(part: Locator, name: str) -> None:
    part.page.mouse.move(0, 0)
    save(part.screenshot(animations="disabled"), name)


def save(picture: bytes, name: str) -> None:
    """Write a picture with 256 colours, which a page of text does not need more of."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
