"""What it costs to follow sessions, and how soon the link is shown after the app answers.

    python benchmarks/following.py [--runs N]        or: make bench

Against the way of the notebook that this product replaces, measured again in the same run: a snapshot every five
seconds, and a poller that looks every five seconds whether the log in the result bucket holds the link twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import psutil  # noqa: E402
import qarnot  # noqa: E402  the notebook's own way
import requests  # noqa: E402
from launch import _answers, _write  # noqa: E402

from run_qarnot.core.names import make_name  # noqa: E402
from run_qarnot.core.state import State  # noqa: E402
from run_qarnot.engine.account import Account  # noqa: E402
from run_qarnot.hooks.manager import find_plugins  # noqa: E402
from run_qarnot.model.settings import Settings, read_settings  # noqa: E402
from run_qarnot.model.spec import SessionSpec  # noqa: E402

POLLER_SECONDS = 5.0
MANY = 50
MANY_SECONDS = 30.0


class Requests:
    """Counts the requests of this process."""

    def __init__(self) -> None:
        self.count = 0
        send = requests.Session.send

        def counted(*args: object, **kwargs: object) -> requests.Response:
            self.count += 1
            return send(*args, **kwargs)  # type: ignore[arg-type]

        requests.Session.send = counted  # type: ignore[method-assign]


class AppWatch:
    """Notes when a JupyterLab of the cluster answers, by asking it directly, in a process that is not counted."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__, "--watch"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it knows what runs already

    def answered(self) -> float:
        """Wait for it; seconds of the system's clock."""
        return float(self._process.communicate()[0])


def watch() -> int:
    known = _ports()
    print("watching", flush=True)
    while True:
        for port in _ports() - known:
            if _answers(f"http://127.0.0.1:{port}/api"):
                print(time.time())
                return 0
        time.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description="Times what is shown, and counts what it costs.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--watch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        return watch()
    runs = options.runs
    counted = Requests()
    with cluster_of_its_own() as cluster:
        ours = [asyncio.run(follow_one(cluster, counted)) for _ in range(runs)]
        theirs = [poll_as_before(cluster, counted) for _ in range(runs)]
        many = asyncio.run(follow_many(cluster, counted))
    for title, rows in (("ours", ours), ("five-second poller", theirs)):
        delays = [row["delay"] for row in rows]
        print(
            f"{title:20} link after {statistics.median(delays):.2f} s (at most {max(delays):.2f}), "
            f"{statistics.median(row['requests_per_second'] for row in rows):.2f} requests/s, "
            f"{100 * statistics.median(row['cpu'] for row in rows):.1f} % of a core"
        )
    print(
        f"{MANY} sessions followed  {many['requests_per_second']:.2f} requests/s, {100 * many['cpu']:.1f} % of a core"
    )
    _write("following", {"ours": ours, "poller": theirs, "many": many})
    return 0


async def follow_one(cluster: Settings, counted: Requests) -> dict[str, float]:
    """Start a session and follow it until it is ready."""
    account = await open_account(cluster)
    app = AppWatch()
    session = await account.start(SessionSpec(account.catalog.get("base"), make_name(), 1), [])
    following = asyncio.create_task(session.follow())
    await session.until(lambda view: bool(view.id))
    meter = Meter(counted)
    await session.until(lambda view: view.state is State.READY)
    shown, cost = time.time(), meter.read()
    answered = await asyncio.to_thread(app.answered)
    await session.stop(save=False)
    await following
    await account.close()
    return {"delay": shown - answered, **cost}


async def follow_many(cluster: Settings, counted: Requests) -> dict[str, float]:
    """Follow many sessions, each with a page behind a tunnel of its own, of which nothing is heard."""
    allow_many(cluster)
    account = await open_account(cluster)
    sessions, work = [], []
    for number, port in enumerate(unused_ports(MANY)):
        image = account.catalog.get("base").model_copy(
            update={"id": f"page-{number}", "app": "web", "port": port, "profile": ("docker-network-ssh",)}
            | {"repo": "library/python", "command": f"python3 -m http.server --bind 127.0.0.1 {port}"}
        )
        account.catalog.images[image.id] = image
        session = await account.start(SessionSpec(image, make_name(), 1), [])
        sessions.append(session)
        work.append(asyncio.create_task(session.follow()))
        await session.until(lambda view: view.state is State.READY)
    tunnels = sum(session.app_address() is not None for session in sessions)
    assert tunnels == MANY, f"{tunnels} of {MANY} tunnels are open"
    await asyncio.sleep(15)  # until all have fallen into step
    meter = Meter(counted)
    await asyncio.sleep(MANY_SECONDS)
    cost = meter.read()
    await asyncio.gather(*(session.stop(save=False) for session in sessions))
    await asyncio.gather(*work)
    await account.close()
    return {"sessions": len(sessions), **cost}


def allow_many(cluster: Settings) -> None:
    """Raise the account's quotas: ten tasks at once are what Qarnot allows at first."""
    for kind in ("tasks", "running_tasks", "jobs", "instances", "buckets"):
        answer = requests.post(
            f"{cluster.cluster_url}/_control/set_quota",
            json={"kind": kind, "value": 1000},
            headers={"Authorization": cluster.token or ""},
            timeout=10,
        )
        answer.raise_for_status()


def unused_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def poll_as_before(cluster: Settings, counted: Requests) -> dict[str, float]:
    """Start the same by the notebook's way, and poll as it did."""
    connection = qarnot.Connection(
        client_token=cluster.token, cluster_url=cluster.cluster_url, storage_url=cluster.storage_url
    )
    name, app = make_name(), AppWatch()
    task = connection.create_task(name, "jupyterlab", 1)
    task.results = connection.create_bucket(f"{name}-out")
    task.constants = {
        "DOCKER_REPO": "qarnotlab/jupyterlab-base",
        "DOCKER_TAG": "v1",
        "DOCKER_SSH": "ssh-ed25519 AAAA x",
    }
    task.snapshot(int(POLLER_SECONDS))
    task.submit()
    meter = Meter(counted)
    while _links(task) < 2:
        time.sleep(POLLER_SECONDS)
    shown, cost = time.time(), meter.read()
    answered = app.answered()
    task.abort()
    return {"delay": shown - answered, **cost}


def _links(task: qarnot.task.Task) -> int:
    for entry in task.results.directory("logs/"):
        if entry.key == "logs/qarnot.log":
            text: str = entry.get()["Body"].read().decode()
            return text.count("/lab?token=")
    return 0


class Meter:
    """What this process used since the meter was made."""

    def __init__(self, counted: Requests) -> None:
        self._counted, self._before = counted, counted.count
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        wall = time.perf_counter() - self._wall
        return {
            "requests_per_second": (self._counted.count - self._before) / wall,
            "cpu": (time.process_time() - self._cpu) / wall,
        }


async def open_account(cluster: Settings) -> Account:
    return await Account.open(cluster, cluster.token or "", find_plugins(cluster).catalog())


@contextlib.contextmanager
def cluster_of_its_own() -> Iterator[Settings]:
    """The local cluster in a process of its own, so that what it uses is not counted as ours."""
    process = subprocess.Popen([sys.executable, "-m", "qarnot_local"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    lines = "".join(process.stdout.readline() for _ in range(3))
    exports = dict(re.findall(r"export (\w+)='(.*)'", lines))
    try:
        yield read_settings(exports, ROOT)
    finally:
        process.terminate()
        process.wait()


def _ports() -> set[int]:
    """The ports of the JupyterLabs that run below this process."""
    return {int(word.split("=")[1]) for words in _commands() for word in words if word.startswith("--ServerApp.port=")}


def _commands() -> list[list[str]]:
    found: Callable[[psutil.Process], list[str]] = lambda process: process.info["cmdline"] or []  # noqa: E731
    return [found(process) for process in psutil.process_iter(["cmdline"])]


if __name__ == "__main__":
    os.chdir(ROOT)
    raise SystemExit(main())
