"""How fast a file gets from a page into the bucket of a session, against boto3's `upload_fileobj` of the same file.

    python benchmarks/uploads.py [--runs N] [--megabytes N]        or: make bench

By both ways: straight from the browser, and through the kernel, as where the bucket takes nothing from a page. The
time is from choosing the file in Chromium until it is an object. Memory is that of the kernel and of the browser's tab,
the most during the upload less what it was before. They take turns, so that a busy machine slows all; one run each does
not count.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import psutil  # noqa: E402
from launch import _write  # noqa: E402
from qarnot.connection import Connection  # noqa: E402
from support import servers  # noqa: E402
from support.command import CommandLine  # noqa: E402
from support.servers import Server  # noqa: E402
from tab import Chromium, running_chromium  # noqa: E402
from transfers import Measure, Result  # noqa: E402

from qarnot_local import LocalCluster  # noqa: E402

AIM = 0.5  # at least, as a share of boto3's speed
KERNEL_AIM_MB, TAB_AIM_MB = 64, 200
SAMPLE_SECONDS = 0.5  # both cost what they measure: the storage is in this process, and memory is read page by page
LOOK_SECONDS = 0.25
DEADLINE_SECONDS = 600
NAME = "takes-files"
CATALOG = """
schema = 1
[images.waits]
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sleep 100000"
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Times uploads from the page against boto3.")
    parser.add_argument("--runs", type=int, default=3, help="of each, after one that does not count (default: 3)")
    parser.add_argument("--megabytes", type=int, default=1000, help="that are moved (default: 1000)")
    arguments = parser.parse_args()
    with LocalCluster() as cluster, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        measure = Measure(cluster, Path(folder), arguments.megabytes * 1_000_000)
        server = stack.enter_context(dashboard(cluster, Path(folder)))
        browser = stack.enter_context(running_chromium())
        visit = Visit(cluster, server, browser, Path(folder) / "file")
        ways = (measure.upload("boto3 upload"), visit.straight, visit.through_the_kernel)
        boto, *ours = measure.take_turns(arguments.runs, *ways)
    for name, results in zip(("uploads-straight", "uploads-through-kernel"), ours, strict=True):
        report(name, boto, results, arguments.megabytes)
    return 0


@contextlib.contextmanager
def dashboard(cluster: LocalCluster, folder: Path) -> Iterator[Server]:
    """Serve the page for an account with a session that runs."""
    (folder / "images.toml").write_text(CATALOG)
    cli = CommandLine.of_account(cluster, folder)
    cli("launch", "waits", "--name", NAME, "--hours", 1, "--detach")
    with servers.dashboard(cli) as server:
        yield server


class Visit:
    """Somebody who adds the file to the session."""

    def __init__(self, cluster: LocalCluster, server: Server, browser: Chromium, file: Path) -> None:
        self._cluster = cluster
        self._server = server
        self._browser = browser
        self._file = file
        self._client = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token).s3client

    def _is_there(self) -> bool:
        return bool(self._client.list_objects(Bucket=f"{NAME}-in", Prefix=self._file.name).get("Contents"))

    def straight(self) -> Result:
        return self._visit("straight")

    def through_the_kernel(self) -> Result:
        with self._cluster.control.expecting():
            self._cluster.control.fail_next("OPTIONS", "s3:Preflight", code="AccessForbidden", times=None)
            result = self._visit("through kernel")
        self._cluster.control.reset()
        return result

    def _visit(self, way: str) -> Result:
        self._client.delete_object(Bucket=f"{NAME}-in", Key=self._file.name)
        with self._browser.tab(DEADLINE_SECONDS) as tab:
            tab.open(self._server.address())
            tab.click(_part("add"))
            tab.wait_for(_part("add-upload"))
            kernel = max(servers.kernels(self._server), key=lambda process: process.create_time())
            with weighing(kernel, *_tabs(self._browser)) as most:
                started = time.perf_counter()
                tab.choose(_part("add-upload"), self._file)
                tab.click(_part("add-send") + ":not([disabled])")
                while not self._is_there():
                    assert time.perf_counter() - started < DEADLINE_SECONDS, "it does not arrive"
                    time.sleep(LOOK_SECONDS)
                seconds = time.perf_counter() - started
            tab.wait_for(_part("add-list"), gone=True)  # it is sent to the machine, too
        result = {"seconds": seconds, "kernel_mb": most[0] / 1e6, "tab_mb": sum(most[1:]) / 1e6}
        print(f"{way:15} {seconds:6.2f} s, kernel + {result['kernel_mb']:.0f} MB, tab + {result['tab_mb']:.0f} MB")
        return result


@contextlib.contextmanager
def weighing(*processes: psutil.Process) -> Iterator[list[float]]:
    """Watch processes during the block; yields the most bytes that each has for itself alone, more than before."""
    before = [process.memory_full_info().uss for process in processes]
    most = [0.0] * len(processes)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for number, process in enumerate(processes):
                most[number] = max(most[number], process.memory_full_info().uss - before[number])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()


def _tabs(browser: Chromium) -> list[psutil.Process]:
    """The processes that show pages."""
    family = browser.process.children(recursive=True)
    return [process for process in family if "--type=renderer" in " ".join(process.cmdline())]


def _part(name: str) -> str:
    """The selector of a part of the session's card."""
    return f"[data-testid=session-{NAME}] [data-testid={name}]"


def report(name: str, boto: list[Result], ours: list[Result], megabytes: int) -> None:
    theirs, own = ([result["seconds"] for result in results] for results in (boto, ours))
    ratio = statistics.median(theirs) / statistics.median(own)
    kernel, tab = (max(result[part] for result in ours) for part in ("kernel_mb", "tab_mb"))
    print(f"{name}: {ratio:.2f} of boto3's speed (aim: at least {AIM:g}), kernel + {kernel:.0f} MB, tab + {tab:.0f} MB")
    _write(
        name,
        {"megabytes": megabytes, "boto3_seconds": [round(each, 3) for each in theirs]}
        | {"our_seconds": [round(each, 3) for each in own], "ratio": round(ratio, 3), "aim": AIM}
        | {"kernel_mb": round(kernel, 1), "kernel_aim_mb": KERNEL_AIM_MB}
        | {"tab_mb": round(tab, 1), "tab_aim_mb": TAB_AIM_MB},
    )


if __name__ == "__main__":
    sys.exit(main())
