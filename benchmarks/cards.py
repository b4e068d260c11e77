"""What a session's card does: how soon it answers, 100 000 lines of output, a gigabyte of results as one zip.

    python benchmarks/cards.py [--runs N] [--megabytes N]        or: make bench

- Update: from a click in Chromium until what the kernel answers is on the screen; the way back is a part of it.
- Output: from unfolding it until its last line is on the screen, against fetching the same text with the SDK; and the
  longest time for which the tab did not react.
- Zip: from the click on download until the browser has the whole file, against reading the same objects with boto3.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from launch import _write  # noqa: E402
from playwright.sync_api import Locator, Page, expect, sync_playwright  # noqa: E402
from qarnot.connection import Connection  # noqa: E402
from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import CommandLine  # noqa: E402
from support.servers import dashboard  # noqa: E402
from transfers import OBJECTS, Measure, Result  # noqa: E402

from qarnot_local import LocalCluster  # noqa: E402

UPDATE_AIM_MS = 100
CLICKS, LINES = 30, 100_000
DEADLINE_MS = 120_000
# The time of a click, and of the change of the page that follows it.
WATCH = """testid => new Promise(done => {
  const button = document.querySelector(`[data-testid="session-prints"] [data-testid=${testid}]`)
  const started = performance.now()
  new MutationObserver((_, observer) => {
    if (!document.querySelector('[data-testid=share-link]')) return
    observer.disconnect()
    requestAnimationFrame(() => done(performance.now() - started))
  }).observe(document.body, { childList: true, subtree: true })
  button.click()
})"""
PAUSES = """() => {
  window.longest = 0
  new PerformanceObserver(list => { for (const task of list.getEntries()) window.longest = Math.max(window.longest, task.duration) })
    .observe({ entryTypes: ['longtask'] })
}"""  # noqa: E501


def main() -> int:
    parser = argparse.ArgumentParser(description="Times what a session's card does.")
    parser.add_argument("--runs", type=int, default=3, help="of each, after one that does not count (default: 3)")
    parser.add_argument("--megabytes", type=int, default=1000, help="of results (default: 1000)")
    arguments = parser.parse_args()
    expect.set_options(timeout=DEADLINE_MS)
    with LocalCluster() as cluster, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        cli = CommandLine.of_account(cluster, Path(folder))
        cli("launch", "command", "--name", "prints", "--hours", 1, "--set", f"command=seq {LINES}")
        cli("launch", "command", "--name", "many", "--hours", 1, "--set", "command=true")
        server = stack.enter_context(dashboard(cli))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_context(locale="en-GB", accept_downloads=True).new_page()
        page.set_default_timeout(DEADLINE_MS)
        measure = Measure(cluster, Path(folder), arguments.megabytes * 1_000_000, bucket="many-out")
        measure.fill()
        page.goto(server.address())
        update(page)
        connection = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token)
        (task,) = (task for task in connection.all_tasks() if task.name == "prints")
        output(page, task.stdout, arguments.runs, measure)
        results(page, arguments.runs, arguments.megabytes, measure)
        browser.close()
    return 0


def card_of(page: Page, name: str) -> Locator:
    """The card of a session, unfolded."""
    card = page.get_by_test_id(f"session-{name}")
    expect(card.get_by_test_id("state")).to_contain_text("Ended")
    fold = card.get_by_role("button").first
    if fold.get_attribute("aria-expanded") == "false":
        fold.click()
    return card


def update(page: Page) -> None:
    """Click again and again."""
    card = card_of(page, "prints")
    times = []
    for _ in range(CLICKS + 1):
        times.append(page.evaluate(WATCH, "share"))
        card.get_by_test_id("share").click()
        expect(page.get_by_test_id("share-link")).to_have_count(0)
    times = [round(milliseconds, 1) for milliseconds in times[1:]]
    print(f"card's update: {statistics.median(times):.0f} ms, at most {max(times):.0f} (aim: {UPDATE_AIM_MS})")
    _write("card-update", {"milliseconds": times, "median": statistics.median(times), "aim": UPDATE_AIM_MS})


def output(page: Page, fetch: Callable[[], str], runs: int, measure: Measure) -> None:
    """Unfold the output, and fetch it with the SDK."""
    card = card_of(page, "prints")
    page.evaluate(PAUSES)

    def shown() -> Result:
        started = time.perf_counter()
        card.get_by_test_id("log").get_by_role("button").click()
        expect(card.get_by_test_id("log-lines").get_by_text(str(LINES), exact=True)).to_be_visible()
        seconds = time.perf_counter() - started
        card.get_by_test_id("log").get_by_role("button").click()
        return {"seconds": seconds}

    def fetched() -> Result:
        started = time.perf_counter()
        assert str(LINES) in fetch()
        return {"seconds": time.perf_counter() - started}

    sdk, ours = ([each["seconds"] for each in column] for column in measure.take_turns(runs, fetched, shown))
    pause = page.evaluate("window.longest")
    seconds = statistics.median(ours)
    print(f"{LINES} lines: on the screen after {seconds:.2f} s, the tab was busy for {pause:.0f} ms at most")
    _write(
        "card-output",
        {"lines": LINES, "sdk_seconds": sdk, "our_seconds": ours, "seconds": round(seconds, 3)}
        | {"longest_pause_ms": round(pause)},
    )


def results(page: Page, runs: int, megabytes: int, measure: Measure) -> None:
    """Download everything as one zip, and read it with boto3."""
    card = card_of(page, "many")

    def download() -> Result:
        started = time.perf_counter()
        with page.expect_download() as event:
            card.get_by_test_id("download").click()
        size = event.value.path().stat().st_size  # waits for its end
        seconds = time.perf_counter() - started
        event.value.delete()
        assert size > megabytes * 1_000_000
        print(f"{'zip to browser':15} {seconds:6.2f} s")
        return {"seconds": seconds}

    reads, ours = (
        [round(each["seconds"], 3) for each in column]
        for column in measure.take_turns(runs, measure.read("boto3 reads"), download)
    )
    ratio = round(statistics.median(ours) / statistics.median(reads), 3)
    print(f"zip to the browser: {ratio:.2f} of the time of reading")
    _write(
        "card-zip",
        {"megabytes": megabytes, "objects": OBJECTS, "boto3_seconds": reads, "our_seconds": ours, "ratio": ratio},
    )


if __name__ == "__main__":
    sys.exit(main())
