"""Programs that Qarnot's own images bring and that commands of public samples call by name."""

from __future__ import annotations

from pathlib import Path

# In the images it installs DOCKER_SSH and starts `sshd`. Here the cluster serves SSH, so it does nothing.
_SET_SSH = """#!/bin/sh
echo 'Local cluster: the cluster itself answers SSH in place of set_ssh.' >&2
"""


def folder(home: Path) -> Path:
    """Return the folder of the programs, which comes first in a task's PATH."""
    return home / "bin"


def install(home: Path) -> None:
    """Write the programs below the home folder of a task."""
    folder(home).mkdir(parents=True, exist_ok=True)
    program = folder(home) / "set_ssh"
    program.write_text(_SET_SSH)
    program.chmod(0o755)
