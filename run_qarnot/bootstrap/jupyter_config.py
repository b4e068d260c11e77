"""Configuration of the Jupyter server that an image starts by itself: starts our programs.

`removed.py` keeps what was removed from coming back, `update.py` brings a repository up to date, if that is wanted,
`idle.py` ends a run that nobody uses. And the secret of the server's cookies becomes the same in all runs, as its token
is, so that a tab which stayed open in a browser is still logged in.

It travels as `/job/.run-qarnot/jupyter/jupyter_server_config.py`, and is read by each Jupyter server there; one that a
kernel or a terminal of the first one starts is no other run.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ACCOMPANIED = "RUN_QARNOT_ACCOMPANIED"
_LAST_SECONDS = 5  # for the record of what was removed


def _start(name: str, *arguments: str, passed: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).resolve().parent.parent / name), *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=passed)


def _keep_removed() -> None:
    """Return once it has removed what is to stay away: before the server shows any file."""
    reading, writing = os.pipe()
    job = str(Path(__file__).resolve().parents[2])
    keeper = _start("removed.py", "--job", job, "--ready", f"/dev/fd/{writing}", passed=[writing])
    atexit.register(_end, keeper)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)


def _end(keeper: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(Exception):
        keeper.terminate()
        keeper.wait(_LAST_SECONDS)


def _keep_logins() -> None:
    if token := os.environ.get("JUPYTER_TOKEN"):
        secret = hashlib.sha256(b"cookies of " + token.encode()).digest()
        for program in ("ServerApp", "NotebookApp"):
            get_config()[program].cookie_secret = secret  # type: ignore[name-defined]  # noqa: F821  as Jupyter has it


with contextlib.suppress(Exception):
    _keep_logins()

with contextlib.suppress(Exception):  # whatever is wrong with them, the server starts
    if not os.environ.get(_ACCOMPANIED):
        os.environ[_ACCOMPANIED] = "yes"
        _keep_removed()
        if _run := os.environ.pop("RUN_QARNOT_UPDATE", ""):
            _start("update.py", "--once", _run).wait()
        if _minutes := os.environ.get("RUN_QARNOT_IDLE_MINUTES"):
            from jupyter_core.paths import jupyter_runtime_dir

            _us = ["--end", str(os.getpid()), "--server", str(os.getpid())]
            _start("idle.py", "--minutes", _minutes, *_us, "--runtime", jupyter_runtime_dir())
