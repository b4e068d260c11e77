"""A local cluster whose deviations are scripted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from qarnot_local import LocalCluster


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("QARNOT_", "AWS_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        with LocalCluster() as cluster:
            yield cluster


@pytest.fixture
def cluster(running: LocalCluster) -> Iterator[LocalCluster]:
    yield running
    running.control.reset()
