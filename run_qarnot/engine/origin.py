"""The storage's origin, for the page's security policy: the page may send files only there."""

from __future__ import annotations

from run_qarnot.cloud.origin import storage_origin
from run_qarnot.engine.daemon_executor import in_thread
from run_qarnot.model.settings import Settings


async def find_storage_origin(settings: Settings) -> str | None:
    """Return the origin of the cluster's storage; None if the cluster does not say."""
    return await in_thread(storage_origin, settings)
