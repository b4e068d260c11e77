"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from run_qarnot.cluster.manager import Manager


@dataclass(frozen=True)
class World:
    manager: Manager
    token: str
    email: str
    storage_url: str
