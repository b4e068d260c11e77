"""A process that has loaded everything that a page needs, and forks: each copy is a kernel.

    python -P -m run_qarnot.page.zygote

A line on standard input asks for a kernel: JSON with `argv` (the arguments of `ipykernel_launcher`), `env` and `cwd`. A
line on standard output answers with the process id. At the end of its input the process ends, and so do its kernels.

A copy loads nothing and shares the memory of what was loaded; `docs/page.md` states the gain, and `--no-fork` switches
this off. Each kernel is still a process of its own, and nothing that one visitor does changes the kernel of another.
`random` is seeded again in each copy, and secrets are made only after the fork.

It depends on ipykernel: on `launch_new_instance`, on two settings of `IPKernelApp`, and on no thread being started by
an import. `tests/unit/page/test_zygote.py` names what is missing when ipykernel changes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
from typing import Any

from setproctitle import setproctitle

_LOADED = (
    "ipykernel.kernelapp", "ipykernel.ipkernel",
    "run_qarnot.page.build", "run_qarnot.page.components.session", "run_qarnot.engine.account",
)  # fmt: skip


def main() -> None:
    """Load everything, then answer requests for kernels until standard input ends."""
    for name in _LOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a copy has only the thread that forked"
    gc.freeze()  # otherwise a garbage collection in a copy writes to all objects, and their memory is no longer shared
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # kernels that ended leave no zombie
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become_kernel(**json.loads(line))
            return
        print(pid, flush=True)  # noqa: T201  the answer


def _become_kernel(argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    """Do in this copy what `python -m ipykernel_launcher` does in a new process."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # standard output carries the answers of the parent
    setproctitle(f"{sys.executable} -m ipykernel_launcher {' '.join(argv)}")  # for `ps`; longer titles are cut
    os.environ.clear()
    os.environ |= env
    tempfile.tempdir = None  # an import asked for it before the fork; this kernel has a folder of its own for that
    if cwd:
        os.chdir(cwd)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance([*argv, *kernel_options(os.getppid())])


def kernel_options(parent: int) -> list[str]:
    """Return the options of a kernel that is a copy.

    Arguments:
        parent: the process with which the kernel ends. ipykernel reads it from JPY_PARENT_PID when it is imported,
            which was before the fork.
    """
    return [f"--IPKernelApp.parent_handle={parent}", f"--IPKernelApp.extra_extensions={__spec__.name}"]


def load_ipython_extension(shell: Any) -> None:
    """Connect ipywidgets with the kernel, as it does by itself when a kernel imports it; here it was imported before.

    The widgets that ipyvue and ipyvuetify make on import, such as the theme, are opened again, because no browser has
    received them.
    """
    import ipywidgets
    from ipywidgets.widgets import widget

    ipywidgets.load_ipython_extension(shell)
    for made in list(widget._instances.values()):
        made.close()
        made.open()


if __name__ == "__main__":
    main()
