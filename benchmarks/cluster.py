"""What the local cluster itself costs: at rest with a task that runs, and to list two hundred tasks.

python benchmarks/cluster.py [--runs N]        or: make bench
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import psutil  # noqa: E402
import requests  # noqa: E402
from launch import _write  # noqa: E402

TASKS = 200
LIST_AIM_SECONDS = 0.1
REST_SECONDS, REST_AIM = 20, 0.01  # of a core
QUOTAS = {"tasks": 1000, "instances": 1}  # one task runs, all others wait in the queue


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures what the local cluster costs.")
    parser.add_argument(
        "--runs", type=int, default=10, help="of each list, after one that does not count (default: 10)"
    )
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "run_qarnot", "cluster"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            rest, lists = measure(process, runs)
        finally:
            process.terminate()
            process.wait(timeout=30)
    result = {"tasks": TASKS, "list_seconds": lists, "list_median": statistics.median(lists), "rest": rest}
    _write("cluster", result | {"list_aim_seconds": LIST_AIM_SECONDS, "rest_aim": REST_AIM})
    print(f"{TASKS} tasks are listed in {statistics.median(lists) * 1000:.0f} ms, at most {max(lists) * 1000:.0f} ms")
    print(f"at rest, with one task that runs: {rest:.2%} of a core")
    return 0


def measure(process: subprocess.Popen[str], runs: int) -> tuple[float, list[float]]:
    """Return the share of a core at rest, and the seconds of each list."""
    address, token = _account(process)
    with requests.Session() as http:
        http.trust_env = False
        http.headers["Authorization"] = token
        for kind, value in QUOTAS.items():
            http.post(
                f"{address}/_control/set_quota", json={"kind": kind, "value": value}, timeout=30
            ).raise_for_status()
        make(http, address, 1)
        rest = _rest(process.pid)
        make(http, address, TASKS - 1)
        ways = (whole, pages)
        lists = [_seconds(way, http, address) for _ in range(runs + 1) for way in ways][len(ways) :]
    return rest, [round(each, 4) for each in lists]


def make(http: requests.Session, address: str, count: int) -> None:
    constants = [{"key": "DOCKER_CMD", "value": "sleep 1000"}]
    constants += [{"key": f"NAME_{number}", "value": "x" * 40} for number in range(20)]
    task = {"name": "one of many", "profile": "docker-batch", "instanceCount": 1, "constants": constants}
    made = http.post(f"{address}/tasks", json=[task] * count, timeout=30).json()
    assert {each["statusCode"] for each in made} == {200}, made[0]


def _account(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Read the address and the token that the cluster prints as lines of a shell."""
    assert process.stdout is not None
    found: dict[str, str] = {}
    for line in process.stdout:
        name, _, value = line.strip().removeprefix("export ").partition("=")
        found[name] = value.strip("'\"")
        if {"QARNOT_CLUSTER_URL", "QARNOT_CLIENT_TOKEN"} <= found.keys():
            break
    return found["QARNOT_CLUSTER_URL"], found["QARNOT_CLIENT_TOKEN"]


def _rest(pid: int) -> float:
    process = psutil.Process(pid)
    time.sleep(3)  # until the task runs
    return float(process.cpu_percent(interval=REST_SECONDS)) / 100


def whole(http: requests.Session, address: str) -> int:
    """Ask for all tasks at once; return how many there were."""
    return len(http.get(f"{address}/tasks", timeout=30).json())


def pages(http: requests.Session, address: str) -> int:
    """Ask for the summaries page by page, as the SDK does: no page holds more than fifty."""
    count, token = 0, ""
    while True:
        body = {"maximumResults": TASKS, "token": token or None}
        page = http.post(f"{address}/tasks/summaries/paginate", json=body, timeout=30).json()
        count, token = count + int(page["count"]), page["nextToken"]
        if token is None:
            return count


def _seconds(way: Callable[[requests.Session, str], int], http: requests.Session, address: str) -> float:
    started = time.perf_counter()
    count = way(http, address)
    seconds = time.perf_counter() - started
    assert count == TASKS, count
    return seconds


if __name__ == "__main__":
    sys.exit(main())
