"""What a session with Dask leaves behind, on a machine on which other tests may run at the same time."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import psutil

from support.waiting import wait_until

OURS = f"local-cluster-{os.getpid()}-"  # folders of the clusters of this process


def nothing_is_left() -> None:
    """Wait until no process of Dask of our clusters runs, and check that their common folders are gone."""
    wait_until(lambda: not dask_processes(), "all processes of Dask to end", 30)
    assert not list(Path(tempfile.gettempdir()).glob(f"{OURS}*/*/share"))


def dask_processes() -> list[str]:
    """The command lines of what runs in folders of ours."""
    lines = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "machines.py" in line or "-m dask" in line:
                told = f"{line} {process.cwd()} {' '.join(process.environ().values())}"
                lines += [line] if OURS in told else []
    return lines
