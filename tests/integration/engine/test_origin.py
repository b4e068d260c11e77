"""The storage's origin, for the page's security policy."""

from __future__ import annotations

import asyncio

from support.ports import free_port

from qarnot_local import LocalCluster
from run_qarnot.engine.origin import find_storage_origin
from run_qarnot.model.settings import Settings


def test_the_cluster_is_asked_where_its_storage_is(cluster: LocalCluster) -> None:
    assert asyncio.run(find_storage_origin(Settings(cluster_url=cluster.cluster_url))) == cluster.storage_url


def test_a_cluster_that_is_not_there_has_no_origin() -> None:
    settings = Settings(cluster_url=f"http://127.0.0.1:{free_port()}")
    assert asyncio.run(find_storage_origin(settings)) is None
