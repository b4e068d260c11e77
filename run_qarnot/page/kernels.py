"""Kernels of our server: copies of a process that has loaded everything, where the system can fork (`zygote.py`)."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from typing import Any, ClassVar, cast

import psutil
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.page.kernel_output import NO_CAPTURE

PROVISIONER = "run-qarnot"  # its name as an entry point, in pyproject.toml
_LAUNCHER = [sys.executable, "-m", "ipykernel_launcher"]
_log = logging.getLogger(__name__)


def can_fork() -> bool:
    """Whether kernels are copies here. macOS can fork too, but its own libraries may end a copy that uses them."""
    return sys.platform == "linux"


class Zygote:
    """The process that is copied. It starts to load at once; a request for a kernel waits until that is done."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "run_qarnot.page.zygote"],
            env=os.environ | {"SPT_NOENV": "1"},  # otherwise titles are written over the environment, which `ps` shows
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            process_group=0,  # Ctrl-C reaches only the server, which then ends it
        )  # fmt: skip

    def fork(self, argv: list[str], env: dict[str, str], cwd: str | None) -> Kernel:
        """Start a kernel.

        Arguments:
            argv: what follows `python -m ipykernel_launcher`.
            env: its whole environment.
            cwd: its folder; None for the server's.

        Raises:
            OSError: the process that is copied has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._asking:
            print(json.dumps({"argv": argv, "env": env, "cwd": cwd}), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        if not answer:
            raise BrokenPipeError("the zygote has ended")
        return Kernel(int(answer))

    def close(self) -> None:
        """End it and its remaining kernels."""
        self._process.terminate()
        with contextlib.suppress(OSError):  # it may not have read the last request
            self._process.communicate()


class Kernel(psutil.Process):  # type: ignore[misc,unused-ignore]
    """A kernel that is not our own child, with the part of `Popen` that Jupyter uses. Its exit code is not known."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """Return None while it runs, then 0."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.is_running() and self.status() != psutil.STATUS_ZOMBIE:
                return None
        return 0

    def wait(self, timeout: float | None = None) -> int:
        """Return at once: Jupyter calls this after `poll` has reported the end, and only a parent can wait."""
        return 0

    def send_signal(self, sig: int) -> None:
        """Send it, unless the kernel has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            super().send_signal(sig)


class ForkedKernel(LocalProvisioner):  # type: ignore[misc,unused-ignore]
    """Starts kernels as copies while the server has a zygote, otherwise in Jupyter's way."""

    zygote: ClassVar[Zygote | None] = None  # of the server; a process runs one server

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel of a visitor. The arguments are those of `LocalProvisioner`."""
        if cmd[:3] != _LAUNCHER:
            return await super().launch_kernel(cmd, **kwargs)
        cmd, zygote = [*cmd, NO_CAPTURE], type(self).zygote
        if zygote is None:
            return await super().launch_kernel(cmd, **kwargs)
        try:
            kernel = await in_thread(zygote.fork, cmd[3:], dict(kwargs["env"]), kwargs.get("cwd"))
        except OSError:
            _log.warning("The process that kernels are copies of has ended; they take longer to start now.")
            type(self).zygote = None
            return await super().launch_kernel(cmd, **kwargs)
        self.process, self.pid, self.pgid = cast("subprocess.Popen[bytes]", kernel), kernel.pid, kernel.pid
        return self.connection_info

    async def send_signal(self, signum: int) -> None:
        """Send a signal, except SIGINT, which would end the page's code with a traceback in the server's terminal.

        Jupyter sends it before it asks a kernel to end; on a page nobody interrupts a cell.
        """
        if signum != signal.SIGINT:
            await super().send_signal(signum)
