"""Real OpenSSH."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.waiting import wait_until


def make_key(folder: Path, name: str = "key") -> Path:
    """Make a key pair with ssh-keygen; return the path of the public one."""
    private = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", private], check=True)
    return private.with_suffix(".pub")


@contextmanager
def running(command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command line exactly as printed, in a shell, for the block."""
    process = subprocess.Popen(["sh", "-c", f"exec {command}"], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def words(command: str) -> list[str]:
    return shlex.split(command)


@contextmanager
def agent(*private_keys: Path) -> Iterator[str]:
    """Run OpenSSH's agent with these keys, in this order, for the block; yields its socket (`SSH_AUTH_SOCK`)."""
    with tempfile.TemporaryDirectory() as folder:  # short: paths of sockets have a limit
        socket = f"{folder}/agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
        try:
            wait_until(Path(socket).exists, "the agent")
            environment = {**os.environ, "SSH_AUTH_SOCK": socket}
            subprocess.run(["ssh-add", "-q", *private_keys], env=environment, check=True)
            yield socket
        finally:
            process.terminate()
            process.wait(10)
