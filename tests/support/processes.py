"""Processes that may end at any moment, also while a test looks at them."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def words_of(process: psutil.Process) -> list[str]:
    """Its command; no words once it has ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def lives(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether all of them have ended."""
    return not any(map(lives, processes))
