"""Facts about this machine, in the words that the platform uses for its own."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class HostMachine:
    cores: int
    memory_mb: int
    cpu_model: str
    ghz: float

    @property
    def key(self) -> str:
        """A specification key in the style of the real ones, such as `28c-128g-intel-dual-xeon2680v4-ssd`."""
        return f"{self.cores}c-{max(1, round(self.memory_mb / 1024))}g-local"


@functools.cache
def machine() -> HostMachine:
    return HostMachine(
        cores=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // 2**20,
        cpu_model=platform.processor() or platform.machine() or "local CPU",
        ghz=_frequency(),
    )


def _frequency() -> float:
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        found = None  # containers often hide it
    return round(found.current / 1000, 1) if found and found.current else 2.0
