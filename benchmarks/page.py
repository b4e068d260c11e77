"""How soon the page is usable, and what its kernel weighs before a token is given.

    python benchmarks/page.py [--runs N]

Time: from the request until Start is visible in Chromium, against a Voila notebook with one button until that is.
Memory: what the visitor's kernel has for itself alone, against a kernel that imported ipyvuetify and shows one button.
They take turns, after one visit each that does not count, so that a busy machine slows all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from launch import _write  # noqa: E402
from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import clean_environment  # noqa: E402
from support.waiting import wait_until  # noqa: E402

AIM = 1.15
BUTTON = "import ipywidgets\nipywidgets.Button(description='Start')"
VUETIFY_BUTTON = "import ipyvuetify\nipyvuetify.Btn(children=['Start'])"
OURS = "[data-testid=start]"
THEIRS = "text=Start"


def main() -> int:
    parser = argparse.ArgumentParser(description="Times the page, and weighs its kernel.")
    parser.add_argument("--runs", type=int, default=5, help="of each, after one that does not count (default: 5)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        page = stack.enter_context(served("run_qarnot.page.server", home))
        button = stack.enter_context(served("voila", home, notebook(home, "button", BUTTON)))
        vuetify = stack.enter_context(served("voila", home, notebook(home, "vuetify", VUETIFY_BUTTON)))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        places = ((page, OURS), (button, THEIRS), (vuetify, THEIRS))
        rounds = [[visit(browser, *place) for place in places] for _ in range(runs + 1)][1:]
        browser.close()
    ours, plain, others = zip(*rounds, strict=True)
    times = [[round(seconds, 3) for seconds, _ in visits] for visits in (ours, plain)]
    weights = [[round(weight / 1e6, 1) for _, weight in visits] for visits in (ours, others)]
    usable, memory = (statistics.median(pair[0]) / statistics.median(pair[1]) for pair in (times, weights))
    print(f"page usable: {usable:.2f} × one button; kernel: {memory:.2f} × one that imported ipyvuetify (aim: {AIM} ×)")
    _write(
        "page",
        {"page_seconds": times[0], "button_seconds": times[1], "ratio": round(usable, 3), "aim": AIM}
        | {"kernel_mb": weights[0], "vuetify_kernel_mb": weights[1], "memory_ratio": round(memory, 3)},
    )
    return 0


Server = tuple[psutil.Process, str]


@contextlib.contextmanager
def served(module: str, home: Path, *arguments: object) -> Iterator[Server]:
    """Run a server for the block."""
    port = free_port()
    command = [sys.executable, "-m", module, *map(str, arguments), "--no-browser", f"--port={port}"]
    log = (home / f"{port}.log").open("w")
    process = subprocess.Popen(command, cwd=home, env=clean_environment(HOME=str(home)), stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port), f"{module} on port {port}", seconds=60)
        yield psutil.Process(process.pid), f"http://localhost:{port}/"
    finally:
        process.terminate()
        process.wait()


def visit(browser: Browser, server: Server, wanted: str) -> tuple[float, int]:
    """Open the page as somebody new; return seconds until `wanted` is visible, and bytes of the kernel."""
    process, address = server
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator(wanted).first.wait_for(state="visible", timeout=60_000)
    seconds = time.perf_counter() - started
    page.wait_for_load_state("networkidle")
    kernel = max(process.children(recursive=True), key=lambda child: child.create_time())
    weight = int(kernel.memory_full_info().uss)
    kernel.terminate()
    context.close()
    return seconds, weight


def notebook(home: Path, name: str, code: str) -> Path:
    """Write a notebook of one cell."""
    cell = {"cell_type": "code", "id": "a", "source": code, "metadata": {}, "outputs": [], "execution_count": None}
    path = home / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    os.environ.pop("QARNOT_CLIENT_TOKEN", None)  # the page as it is before a token is given
    sys.exit(main())
