"""A local cluster for each test that asks for one: an empty account is made in a tenth of a second."""

from collections.abc import Iterator

import pytest

from qarnot_local import LocalCluster


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster, cluster.control.expecting():
        yield cluster
