"""A process that has loaded what a page needs, and forks: each copy is a kernel, and is there two seconds sooner.

    python -P -m run_qarnot.page.zygote

A line on standard input asks for a kernel: JSON with `argv` (what `ipykernel_launcher` is started with), `env` and
`cwd`. A line on standard output answers: the process id. At the end of its input it ends, and its kernels with it.

Each kernel is a process of its own, as ever: what one visitor does changes nothing of another. Copies share the memory
of what was loaded. `random` seeds itself anew in each copy, and what is secret is never made before the copy.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
from typing import Any

from setproctitle import setproctitle

_LOADED = (
    "ipykernel.kernelapp", "ipykernel.ipkernel",
    "run_qarnot.page.app", "run_qarnot.page.components.session", "run_qarnot.engine.account",
)  # fmt: skip


def main() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a copy has only the thread that forked"
    gc.freeze()  # a collection in a copy would write to, and so no longer share, all that was loaded
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kernels that ended leave no zombie
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become_kernel(**json.loads(line))
            return
        print(pid, flush=True)  # noqa: T201  the answer


def _become_kernel(argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    """Be what `python -m ipykernel_launcher` would be in a new process."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # standard output is for answers
    setproctitle(f"{sys.executable} -m ipykernel_launcher {' '.join(argv)}")  # what `ps` says; it cuts what is longer
    os.environ.clear()
    os.environ |= env
    if cwd:
        os.chdir(cwd)
    from ipykernel import kernelapp

    # It ends when this process does; the variable for that, JPY_PARENT_PID, was read when it was loaded.
    ends_with = f"--IPKernelApp.parent_handle={os.getppid()}"
    kernelapp.launch_new_instance([*argv, ends_with, f"--IPKernelApp.extra_extensions={__spec__.name}"])


def load_ipython_extension(shell: Any) -> None:
    """Do what `ipywidgets` does when a kernel loads it: here it was loaded when there was no kernel.

    So were the widgets that ipyvue and ipyvuetify make once, such as the theme: no browser has heard of them.
    """
    import ipywidgets
    from ipywidgets.widgets import widget

    ipywidgets.load_ipython_extension(shell)
    for made in list(widget._instances.values()):
        made.close()
        made.open()


if __name__ == "__main__":
    main()
