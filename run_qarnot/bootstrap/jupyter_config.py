"""Configuration of the Jupyter server that an image starts by itself: brings a repository up to date, if that is
wanted, and starts `idle.py` beside it.

It travels as `/job/.run-qarnot/jupyter/jupyter_server_config.py`, and is read by each Jupyter server there; one that a
kernel or a terminal of the first one starts is no other run.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

_MINUTES, _JUDGED = "RUN_QARNOT_IDLE_MINUTES", "RUN_QARNOT_IDLE_JUDGED"

with contextlib.suppress(Exception):
    if os.environ.pop("RUN_QARNOT_UPDATE", "") == "yes":
        _updater = str(Path(__file__).resolve().parent.parent / "update.py")
        subprocess.run([sys.executable, _updater], stdin=subprocess.DEVNULL, check=False)

with contextlib.suppress(Exception):  # whatever is wrong with it, the server starts
    from jupyter_core.paths import jupyter_runtime_dir

    if os.environ.get(_MINUTES) and not os.environ.get(_JUDGED):
        os.environ[_JUDGED] = "yes"
        _us = str(os.getpid())
        _program = str(Path(__file__).resolve().parent.parent / "idle.py")
        _command = [sys.executable, _program, "--minutes", os.environ[_MINUTES], "--end", _us, "--server", _us]
        subprocess.Popen([*_command, "--runtime", jupyter_runtime_dir()], stdin=subprocess.DEVNULL)
