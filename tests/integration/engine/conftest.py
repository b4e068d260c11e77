"""Parts of the engine, on a local cluster of their own."""

from collections.abc import Iterator

import pytest

from qarnot_local import LocalCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster
