"""Real OpenSSH."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
