"""Makes the pictures of README and docs from the running product, so that they cannot go stale: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import CommandLine, clean_environment  # noqa: E402
from support.servers import running  # noqa: E402

DATA = "time,temperature\n0,19.5\n1,19.8\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        (home / "measurements.csv").write_text(DATA)
        cli = CommandLine(home, clean_environment(HOME=folder, RUN_QARNOT_PLUGINS=str(ROOT / "plugins")))
        with running(cli, "demo", "--no-browser") as demo:
            browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 960, "height": 900}, locale="en-GB")
            page.goto(demo.address())
            take(page, home)
            browser.close()


def take(page: Page, home: Path) -> None:
    expect(page.get_by_test_id("account")).to_be_visible(timeout=60_000)
    page.get_by_test_id("upload").set_input_files(home / "measurements.csv")
    page.get_by_test_id("more").click()
    page.get_by_test_id("name").fill("calm-heron-42")
    page.get_by_test_id("more").click()
    page.get_by_test_id("start").click(timeout=60_000)
    card = page.get_by_test_id("session-calm-heron-42")
    expect(card.get_by_test_id("state")).to_contain_text("Ready", timeout=60_000)
    page.mouse.move(0, 0)
    page.screenshot(path=PICTURES / "page.png", full_page=True, animations="disabled")
    card.get_by_test_id("stop").click()
    card.get_by_test_id("stop-no-save").click()
    expect(card.get_by_test_id("state")).to_contain_text("Ended", timeout=60_000)


if __name__ == "__main__":
    main()
