"""A container made of this machine's own files by bubblewrap, for the start script to run in as on Qarnot.

This machine's files can only be read there; its `/job`, home, `/run` and `/tmp` are new and empty, and so is its list
of processes. The network is shared, so that a test can knock at the doors.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from run_qarnot.bootstrap import COMMAND, FILES
from support.ports import free_port
from support.waiting import wait_until

USER = pwd.getpwuid(os.getuid())
_NEW = {"dev", "proc", "sys", "run", "tmp", "job", "home", "root", "lost+found", "image"}


def make_image(folder: Path, *, only_pip: bool = False) -> Path:
    """Make an environment in which the packages of this one are found, or pip alone; returns its place."""
    image = folder / "python"
    venv.create(image, with_pip=False, symlinks=True)
    packages = image / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    ours = Path(sysconfig.get_path("purelib"))
    (image / "bin" / "pip").write_text('#!/bin/sh\nexec /image/bin/python3 -m pip "$@"\n')
    (image / "bin" / "pip").chmod(0o755)
    if only_pip:
        (packages / "pip").symlink_to(ours / "pip")
    else:
        (packages / "of_the_tests.pth").write_text(f"{ours}\n")
        (image / "share").mkdir(exist_ok=True)
        (image / "share" / "jupyter").symlink_to(Path(sys.prefix, "share", "jupyter"))
    return image


class Container:
    """A container that is made when it is started; all of it is gone after the block.

    Arguments:
        folder: an empty one, for what stays after the container: its `/job`.
        image: an environment that is copied, and is then the container's Python.
    """

    def __init__(self, folder: Path, image: Path) -> None:
        self.job = folder / "job"
        self.home = folder / "home"
        self.image = folder / "python"
        shutil.copytree(image, self.image, symlinks=True)
        for made in (self.job, self.home):
            made.mkdir()
        for key, path in FILES.items():
            (self.job / key).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, self.job / key)
        self.port = free_port()
        self.ssh_port = free_port()
        self.bindings: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self._output = folder / "output"

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()  # bubblewrap's, with which the whole container goes
            self.process.wait(10)

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return self._output.read_text() if self._output.exists() else ""

    def bind(self, here: Path, there: str) -> None:
        """Have a file or folder of this machine in it, to be read."""
        self.bindings += ["--ro-bind", str(here), there]

    def read(self, path: str) -> str:
        """A file of its `/job`, empty while there is none."""
        file = self.job / path
        return file.read_text() if file.exists() else ""

    def start(self, constants: Mapping[str, str], command: str = COMMAND, *, first: bool = True) -> None:
        """Start a command in it; `first`: as process 1, as docker does."""
        environment = {
            "PATH": "/image/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": USER.pw_dir,
            "LANG": "C.UTF-8",
            "RUN_QARNOT_PORT": str(self.port),
            "RUN_QARNOT_SSH_PORT": str(self.ssh_port),
            **{name: value for name, value in os.environ.items() if name.startswith(("SSL_CERT_", "PIP_CERT"))},
            **constants,
        }
        line = ["bwrap", *self._options(), *(["--as-pid-1"] if first else []), "--", *command.split()]
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                line, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def run(self, constants: Mapping[str, str], command: str = COMMAND, *, first: bool = True) -> int:
        """Start a command and wait for its end; returns its exit code."""
        self.start(constants, command, first=first)
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(30)

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until it has printed something."""
        process = self.process
        assert process is not None
        wait_until(lambda: text in self.output or process.poll() is not None, f"“{text}”", seconds)
        assert text in self.output, self.output

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send a signal to its process 1, as `docker stop` does."""
        self._first().send_signal(number)

    def processes(self) -> list[psutil.Process]:
        return self._first().children(recursive=True)

    def _first(self) -> psutil.Process:
        assert self.process is not None
        (first,) = psutil.Process(self.process.pid).children()
        return first

    def _options(self) -> Iterator[Any]:
        yield from ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent"]
        for entry in sorted(Path("/").iterdir()):
            if entry.name in _NEW:
                continue
            if entry.is_symlink():
                yield from ["--symlink", entry.readlink(), entry]
            elif entry.is_dir():
                yield from ["--ro-bind", entry, entry]
        yield from ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run", "--tmpfs", "/tmp"]
        yield from ["--bind", self.home, USER.pw_dir]
        for place in sorted({sys.prefix, sys.base_prefix, sysconfig.get_path("purelib")}):
            yield from ["--ro-bind", place, place]
        yield from ["--bind", self.job, "/job", "--bind", self.image, "/image", "--chdir", "/job"]
        yield from self.bindings


def ssh_line(container: Container, private: Path, user: str, *more: str) -> list[str]:
    """An OpenSSH command line, independent of the developer's own configuration."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
    options += ["IdentitiesOnly=yes", "IdentityAgent=none", "ExitOnForwardFailure=yes"]
    flags = [word for option in options for word in ("-o", option)]
    return ["ssh", "-F", "none", *flags, "-i", str(private), "-p", str(container.ssh_port), f"{user}@127.0.0.1", *more]
