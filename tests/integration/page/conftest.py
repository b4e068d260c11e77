"""A local cluster for each test that asks for one: an empty account is made in a tenth of a second."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.site import Site

from qarnot_local import LocalCluster


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster, cluster.control.expecting():
        yield cluster


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a server that is ended whatever happens."""
    made: list[Site] = []

    def make(*options: str, **variables: str) -> Site:
        made.append(Site(tmp_path, *options, **variables))
        return made[-1]

    yield make
    for site in made:
        site.end()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site.log_in()
    site.end()
