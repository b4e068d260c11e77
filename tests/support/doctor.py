"""The doctor at a local cluster."""

from __future__ import annotations

import asyncio

from qarnot_local import LocalCluster
from run_qarnot.catalog import Catalog
from run_qarnot.catalog.image import Image
from run_qarnot.doctor.examination import Examination
from run_qarnot.doctor.question import Verdict
from run_qarnot.doctor.report import Report
from run_qarnot.model.settings import Settings

IMAGES = [
    Image(id="lab", repo="qarnotlab/jupyterlab-base", tag="v1"),
    Image(id="either", profile=("docker-network", "docker-batch"), app="batch", repo="library/python", command="true"),
]


def examine(cluster: LocalCluster, *, spending: bool = False, images: list[Image] = IMAGES) -> Report:
    """Ask all questions."""
    catalog = Catalog()
    catalog.images.update({image.id: image for image in images})
    settings = Settings(cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, token=cluster.token)

    async def ask() -> Report:
        examination = await Examination.begin(settings, cluster.token, catalog, lambda _: None, lambda _: None)
        return await examination.run(spending=spending)

    return asyncio.run(ask())


def differing(report: Report) -> dict[str, str]:
    """What differs: seen, by number."""
    return {each.question.number: each.seen for each in report.findings if each.verdict is Verdict.DIFFERS}


def buckets(cluster: LocalCluster) -> int:
    """How many buckets the account has."""
    return int(cluster.control._manager.storage.usage()[0])
