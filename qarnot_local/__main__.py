"""`python -m qarnot_local`: the local cluster alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from qarnot_local.server import ClusterError, LocalCluster


def main(arguments: list[str] | None = None) -> int:
    """Print three lines to paste into a shell, on stdout and nothing else there; then serve."""
    parser = argparse.ArgumentParser(prog="qarnot_local", description="A Qarnot cluster on this machine.")
    parser.add_argument("--port", type=int, default=0, help="port of the API (default: any free one)")
    parser.add_argument("--state-dir", type=Path, help="keep tasks and buckets in this folder")
    parser.add_argument("--realistic", action="store_true", help="be as slow as the cloud")
    options = parser.parse_args(arguments)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of connections that others have closed
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with LocalCluster(options.port, options.state_dir) as cluster:
            cluster.control.pace(options.realistic)
            for note in cluster.notes:
                print(note, file=sys.stderr)  # noqa: T201
            for name, value in (
                ("QARNOT_CLUSTER_URL", cluster.cluster_url),
                ("QARNOT_STORAGE_URL", cluster.storage_url),
                ("QARNOT_CLIENT_TOKEN", cluster.token),
            ):
                print(f"export {name}='{value}'", flush=True)  # noqa: T201 - the command's answer
            stop.wait()
    except ClusterError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
