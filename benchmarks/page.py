"""How soon the page is usable, and what its kernel weighs before a token is given.

    python benchmarks/page.py [--runs N]

Time: from the request until Start is visible in Chromium, against a Voila notebook with one button until that is; both
with a kernel that starts then, and with one that was heated up ahead.
Memory: what the visitor's kernel has for itself alone, against a kernel that imported ipyvuetify and shows one button.
They take turns, after one visit each that does not count, so that a busy machine slows all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

from launch import _write  # noqa: E402
from support.chromium import ARGUMENTS, chromium  # noqa: E402
from support.command import clean_environment  # noqa: E402
from support.servers import kernels_below  # noqa: E402
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
        heated_page = stack.enter_context(served("run_qarnot.page.server", home, "--preheat=1"))
        heat = ("--preheat_kernel=True", "--pool_size=1")
        heated_button = stack.enter_context(served("voila", home, notebook(home, "button", BUTTON), *heat))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        places = ((page, OURS), (button, THEIRS), (vuetify, THEIRS), (heated_page, OURS), (heated_button, THEIRS))
        rounds = [[visit(browser, *place) for place in places] for _ in range(runs + 1)][1:]
        browser.close()
    seconds = [[round(visit[0], 3) for visit in visits] for visits in zip(*rounds, strict=True)]
    weights = [[round(visit[1] / 1e6, 1) for visit in visits] for visits in zip(*rounds, strict=True)]
    usable, preheated, memory = (
        ratio(seconds[0], seconds[1]),
        ratio(seconds[3], seconds[4]),
        ratio(weights[0], weights[2]),
    )
    print(f"page usable: {usable:.2f} × one button, {preheated:.2f} × with kernels heated up ahead (aim: {AIM} ×)")
    print(f"kernel: {memory:.2f} × one that imported ipyvuetify (aim: {AIM} ×)")
    _write(
        "page",
        {"page_seconds": seconds[0], "button_seconds": seconds[1], "ratio": usable, "aim": AIM}
        | {"heated_page_seconds": seconds[3], "heated_button_seconds": seconds[4], "heated_ratio": preheated}
        | {"kernel_mb": weights[0], "vuetify_kernel_mb": weights[2], "memory_ratio": memory},
    )
    return 0


def ratio(ours: list[float], theirs: list[float]) -> float:
    return round(statistics.median(ours) / statistics.median(theirs), 3)


class Server(NamedTuple):
    """A server that is being visited."""

    process: psutil.Process
    address: str
    login: str  # the query that logs in
    pool: int  # kernels that it keeps ahead of visitors


@contextlib.contextmanager
def served(module: str, home: Path, *arguments: object) -> Iterator[Server]:
    """Run a server for the block."""
    port = free_port()
    command = [sys.executable, "-m", module, *map(str, arguments), "--no-browser", f"--port={port}"]
    log = (home / f"{port}.log").open("w")
    process = subprocess.Popen(command, cwd=home, env=clean_environment(HOME=str(home)), stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port), f"{module} on port {port}", seconds=60)
        login = None
        if module == "run_qarnot.page.server":
            text = (home / f"{port}.log").read_text
            login = wait_until(lambda: re.search(r"Dashboard: \S+(\?token=\S+)\n", text()), "its address")
        address = f"http://localhost:{port}/"
        pool = int("heat" in "".join(command))
        yield Server(psutil.Process(process.pid), address, login[1] if login else "", pool)
    finally:
        process.terminate()
        process.wait()


def visit(browser: Browser, server: Server, wanted: str) -> tuple[float, int]:
    """Open the page as somebody new; return seconds until `wanted` is visible, and bytes of the kernel."""
    wait_until(lambda: is_ready(server), "kernels to be ready", seconds=60)
    preheated = kernels_below(server.process)
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    started = time.perf_counter()
    page.goto(server.address + server.login, wait_until="commit")
    page.locator(wanted).first.wait_for(state="visible", timeout=60_000)
    seconds = time.perf_counter() - started
    page.wait_for_load_state("networkidle")
    kernel = preheated[0] if preheated else kernels_below(server.process)[0]
    weight = int(kernel.memory_full_info().uss)
    identity = re.search(r"kernelId\W+([\w-]{36})", page.content())
    assert identity is not None
    # Voila asks for this cookie at the farewell, and never sets it itself: its own page could not say it
    context.add_cookies([{"name": "_xsrf", "value": "x", "url": server.address}])
    assert context.request.post(f"{server.address}voila/api/shutdown/{identity[1]}?_xsrf=x").ok
    context.close()
    wait_until(lambda: not kernel.is_running(), "the kernel to end")
    return seconds, weight


def is_ready(server: Server) -> bool:
    """Whether nothing but the kernels ahead runs there, and these have come to rest."""
    ahead = kernels_below(server.process)
    return len(ahead) == server.pool and all(kernel.cpu_percent(0.5) < 5 for kernel in ahead)


def notebook(home: Path, name: str, code: str) -> Path:
    """Write a notebook of one cell."""
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "a",
        "source": code,
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
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
