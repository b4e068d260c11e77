"""Quotas of the account (`reference/qarnot-platform.md` §1.3: observed real limits)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Quotas:
    tasks: int = 100
    running_tasks: int = 10  # more than these wait in the queue
    jobs: int = 100
    pools: int = 50
    running_pools: int = 50
    instances: int = 64  # that execute at one time; the others of a task wait, and its states are `Partially…`
    buckets: int = 100
    bytes: int = 10 * 2**30
    credits: float = 50.0  # euros that the account was given; nothing is paid for here
