"""How long from a launch to a JupyterLab that answers, on the local cluster, against JupyterLab alone.

    python benchmarks/launch.py [--runs N]        or: make bench

Both are timed from the start of a program: `run-qarnot launch base --json` until it says ready, and `jupyter lab` until
its first 200 on /api. They take turns, after one run each that does not count, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
sys.path.insert(0, str(ROOT))

from qarnot_local import LocalCluster  # noqa: E402

AIM = 1.5
DEADLINE_SECONDS = 120
POLL_SECONDS = 0.02  # also what JupyterLab alone may be measured too slow by


def main() -> int:
    parser = argparse.ArgumentParser(description="Times a launch against JupyterLab alone.")
    parser.add_argument("--runs", type=int, default=3, help="of each, after one that does not count (default: 3)")
    runs = parser.parse_args().runs
    with LocalCluster() as cluster:
        environment = os.environ | {
            "QARNOT_CLUSTER_URL": cluster.cluster_url,
            "QARNOT_STORAGE_URL": cluster.storage_url,
            "QARNOT_CLIENT_TOKEN": cluster.token,
            "PYTHONPATH": str(ROOT),
        }
        alone, launched = _take_turns(runs, time_jupyterlab, lambda: time_launch(environment))
    ratio = statistics.median(launched) / statistics.median(alone)
    print(f"JupyterLab alone      {_shown(alone)}")
    print(f"launch to ready       {_shown(launched)}")
    print(f"ratio                 {ratio:.2f} (aim: at most {AIM:g}): {'good' if ratio <= AIM else 'too slow'}")
    _write("launch", {"jupyterlab_seconds": alone, "launch_seconds": launched, "ratio": round(ratio, 3), "aim": AIM})
    return 0


def time_jupyterlab() -> float:
    """Return the seconds from the start of a bare `jupyter lab` to its first 200 on /api."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
            "--ServerApp.port_retries=0", f"--IdentityProvider.token={secrets.token_hex()}",
        ]  # fmt: skip
        started = time.perf_counter()
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not _answers(f"http://127.0.0.1:{port}/api"):
                if server.poll() is not None or time.perf_counter() - started > DEADLINE_SECONDS:
                    raise SystemExit("JupyterLab alone did not start here.")
                time.sleep(POLL_SECONDS)
            return time.perf_counter() - started
        finally:
            server.terminate()
            server.wait()


def time_launch(environment: dict[str, str]) -> float:
    """Return the seconds from the start of `run-qarnot launch` until it reports a session that is ready."""
    name = f"bench-{secrets.token_hex(4)}"
    started = time.perf_counter()
    session = json.loads(_run_qarnot("launch", "base", "--name", name, "--json", environment=environment))
    seconds = time.perf_counter() - started
    if session["state"] != "ready":
        raise SystemExit(f"The session is {session['state']} and not ready: {session['error']}")
    _run_qarnot("stop", name, "--no-save", environment=environment)
    return seconds


def _run_qarnot(*arguments: str, environment: dict[str, str]) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "run_qarnot", *arguments],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    if run.returncode:
        raise SystemExit(f"run-qarnot {arguments[0]} failed:\n{run.stderr}")
    return run.stdout


def _take_turns(runs: int, *measures: Callable[[], float]) -> list[list[float]]:
    for measure in measures:
        measure()
    rounds = [[round(measure(), 3) for measure in measures] for _ in range(runs)]
    return [list(column) for column in zip(*rounds, strict=True)]


def _answers(address: str) -> bool:
    with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(address, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _shown(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s (of {', '.join(f'{value:.2f}' for value in sorted(seconds))})"


def _write(name: str, result: dict[str, Any]) -> None:
    """Put a result beside those of other benchmarks."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
    results[name] = {**result, "machine": machine, "date": datetime.now(UTC).isoformat(timespec="seconds")}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
