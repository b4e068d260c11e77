"""What an adapter gets and returns: a function that returns how to start a task, or None if it cannot start it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qarnot_local.runtime.commands import in_place
from qarnot_local.runtime.tasks import Task


@dataclass(frozen=True)
class Start:
    """How to start a task: the program, more environment variables, and the local ports of the container's ports."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    notice: str = ""


@dataclass(frozen=True)
class InstancePlace:
    """Where an instance runs.

    Arguments:
        job: the folder that stands for `/job`.
        share: the folder that stands for `/share`, on a cluster profile.
        address: of this machine among those of the run, on a cluster profile.
    """

    job: Path
    share: Path | None = None
    address: str = ""

    def local(self, text: str) -> str:
        """Replace the paths `/job` and `/share` by their folders on this machine."""
        text = in_place(text, "/job", self.job)
        return in_place(text, "/share", self.share) if self.share else text


Adapter = Callable[[Task, int, InstancePlace], Start | None]
