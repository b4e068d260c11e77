"""The page behind nginx at a sub-path and in a JupyterHub, against the page of a laptop: until it can be used.

    python benchmarks/mounts.py [--runs N]        or: make bench

Each visit is that of somebody who has logged in already: from the address to a button that can be seen. The mounts take
turns, so that a busy machine slows all; before each visit the kernel of the one before has ended.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import psutil  # noqa: E402
from launch import _write  # noqa: E402
from playwright.sync_api import Browser, BrowserContext, sync_playwright  # noqa: E402
from spread import Spread  # noqa: E402
from support import servers  # noqa: E402
from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import CommandLine, clean_environment  # noqa: E402
from support.hub import PASSWORD, USERS, hub  # noqa: E402
from support.nginx import nginx  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.servers import kernels_below  # noqa: E402
from support.waiting import wait_until  # noqa: E402

BASE = "/team/"


class Mount(NamedTuple):
    """A page that is being visited."""

    address: str
    kernels: Callable[[], list[psutil.Process]]
    browser: BrowserContext  # which has logged in


def main() -> int:
    parser = argparse.ArgumentParser(description="Times the page under each mount against that of a laptop.")
    parser.add_argument("--runs", type=int, default=7, help="of each, after one that does not count")
    runs = parser.parse_args().runs
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rq-")))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        mounts = {
            name: stack.enter_context(mount(_made(folder / name), browser))
            for name, mount in (("laptop", laptop), ("nginx", behind_nginx), ("hub", in_hub))
        }
        times: dict[str, list[float]] = {name: [] for name in mounts}
        for run in range(runs + 1):
            for name, mount in mounts.items():
                seconds = visit(mount)
                if run:
                    times[name].append(seconds)
    report({name: Spread.of(each) for name, each in times.items()})
    return 0


def report(spread: dict[str, Spread]) -> None:
    """Print the results, and put them beside those of other benchmarks."""
    ratios = {name: round(each.median / spread["laptop"].median, 3) for name, each in spread.items()}
    for name, each in spread.items():
        print(f"page usable, {name}: {each} s, {ratios[name]:.2f} × the laptop")
    middle = {name: [each.low, each.high] for name, each in spread.items()}
    seconds = {name: each.median for name, each in spread.items()}
    _write("mounts", {"seconds": seconds, "middle_half": middle, "ratios": ratios})


def visit(mount: Mount) -> float:
    """Open the page once; return the seconds until it can be used."""
    wait_until(lambda: not mount.kernels(), "the kernel of before to end", seconds=60)
    page = mount.browser.new_page()
    started = time.perf_counter()
    page.goto(mount.address, wait_until="commit")
    page.get_by_test_id("start").wait_for(timeout=120_000)
    seconds = time.perf_counter() - started
    page.goto("about:blank")  # the farewell by which a kernel ends
    page.close()
    return seconds


@contextlib.contextmanager
def laptop(folder: Path, browser: Browser) -> Iterator[Mount]:
    """The page as `run-qarnot dashboard` shows it."""
    with servers.dashboard(CommandLine(folder, clean_environment(HOME=str(folder)))) as server:
        context = browser.new_context(locale="en-GB")
        yield _logged_in(
            Mount(re.sub(r"\?.*", "", server.address()), lambda: servers.kernels(server), context), server.address()
        )


@contextlib.contextmanager
def behind_nginx(folder: Path, browser: Browser) -> Iterator[Mount]:
    """Under a path, where TLS ends at nginx."""
    options = ("--no-browser", "--port", free_port(), "--base-url", BASE, "--trust-proxy")
    cli = CommandLine(folder, clean_environment(HOME=str(folder)))
    with servers.running(cli, "dashboard", *options) as server:
        inside, _, query = server.address().partition("?")
        with nginx(folder, {BASE: inside.removesuffix(BASE)}) as root:
            context = browser.new_context(locale="en-GB", ignore_https_errors=True)
            yield _logged_in(Mount(root + BASE, lambda: servers.kernels(server), context), f"{root}{BASE}?{query}")


@contextlib.contextmanager
def in_hub(folder: Path, browser: Browser) -> Iterator[Mount]:
    """In the server of a JupyterHub's user, which runs already."""
    with hub(folder) as running:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(f"{running.url}hub/user-redirect/run-qarnot/", timeout=120_000)
        page.get_by_label("Username").fill(USERS[0])
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_test_id("start").wait_for(timeout=180_000)
        page.goto("about:blank")
        page.close()
        kernels = lambda: [each for process in running.processes() for each in kernels_below(process)]  # noqa: E731
        yield Mount(f"{running.url}user/{USERS[0]}/run-qarnot/", kernels, context)


def _logged_in(mount: Mount, address: str) -> Mount:
    page = mount.browser.new_page()
    page.goto(address)
    page.get_by_test_id("start").wait_for(timeout=120_000)
    page.goto("about:blank")
    page.close()
    return mount


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
