"""A local cluster for each test: up in a tenth of a second, with nothing on it of other tests, or of another try."""

import dataclasses
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import qarnot
from support.command import CommandLine
from support.wheels import cluster_with

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.engine import retry


@pytest.fixture
def cluster(wheels: Path) -> Iterator[LocalCluster]:
    with cluster_with(wheels) as cluster:
        yield cluster


@pytest.fixture
def sdk(cluster: LocalCluster) -> qarnot.Connection:
    """Somebody else's program on the same account."""
    return qarnot.Connection(
        client_token=cluster.token, cluster_url=cluster.cluster_url, storage_url=cluster.storage_url, logger=None
    )


@pytest.fixture
def control(cluster: LocalCluster) -> Control:
    """Scripts trouble of the test's cluster, and knows its calls."""
    return cluster.control


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> CommandLine:
    """The command line with the cluster's account, in an empty folder of the user's home."""
    folder = tmp_path / "work"
    folder.mkdir()
    return dataclasses.replace(CommandLine.of_account(cluster, tmp_path), folder=folder)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small wheel, made here: pip is real, the network is not needed."""
    folder = tmp_path_factory.mktemp("wheels")
    info = "moo_of_the_test-1.0.dist-info"
    with zipfile.ZipFile(folder / "moo_of_the_test-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("moo_of_the_test.py", "def moo():\n    return 'moo'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: moo-of-the-test\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture(scope="module")
def of_the_module() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def calm(of_the_module: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A cluster for scripted trouble, without any before and after; pauses between tries are short."""
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.05)
    control = of_the_module.control
    control.reset()
    control.clear_calls()
    with control.expecting():
        yield of_the_module
    control.reset()
