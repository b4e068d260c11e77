"""The storage's address, for a page that is allowed to send files there and nowhere else."""

from __future__ import annotations

from run_qarnot.cloud.origin import storage_origin
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.settings import Settings


async def find_storage_origin(settings: Settings) -> str | None:
    """Return the origin of the cluster's storage; None when the cluster does not say."""
    return await in_thread(storage_origin, settings)
