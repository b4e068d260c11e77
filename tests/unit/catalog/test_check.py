"""`run-qarnot check`, as an admin has it in CI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import CommandLine, clean_environment
from support.repository import ROOT

from qarnot_local import LocalCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


def command(folder: Path, cluster: LocalCluster | None = None, **more: str) -> CommandLine:
    account = {}
    if cluster is not None:
        account = {"QARNOT_CLUSTER_URL": cluster.cluster_url, "QARNOT_STORAGE_URL": cluster.storage_url}
        account["QARNOT_CLIENT_TOKEN"] = cluster.token
    return CommandLine(folder, clean_environment(**(account | more)))


def test_the_shipped_catalog_and_plugins_are_in_order() -> None:
    answer = command(ROOT)("check")
    assert answer.out == ""
    assert "0 problems" in answer.err


def test_any_file_can_be_checked(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("schema = 1\n[images.a]\ntitel = 'x'\n")
    answer = command(tmp_path)("check", "mine.toml", expect=1)
    assert answer.out.startswith("mine.toml:3: [images.a] titel: there is no such key")
    assert "did you mean “title”?" in answer.out
    answer = command(tmp_path)("check", "mine.toml", "--json", expect=1)
    (problem,) = answer.json
    assert (problem["line"], problem["entry"], problem["key"], problem["nearest"]) == (3, "a", "titel", "title")
    assert "there is no such file" in command(tmp_path)("check", "none.toml", expect=1).out
    assert command(tmp_path)("check", "one", "two", expect=2).err


def test_problems_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    """An unknown app is found later than the rest, once all plugins are known."""
    (tmp_path / "images.toml").write_text(
        "schema = 1\n[images.a]\napp = 'jupiterlab'\nrepo = 'a/b'\n[images.b]\ntitel = 'x'\n"
    )
    answer = command(tmp_path)("check", "--json", expect=1)
    assert [(problem["line"], problem["code"]) for problem in answer.json] == [(3, "app"), (6, "key-unknown")]


CATALOG = """schema = 1
[images.good]
profile = ["no-such-profile", "jupyterlab"]
repo = "example/good"

[images.elsewhere]
profile = "jupiterlab"

[images.constants]
command = "run"
profile = "docker-batch"
constants = { DOCKER_WORKDR = "/x" }

[images.variables]
command = "run"
profile = "docker-batch"
[images.variables.constants]
OMP_NUM_THREADS = "8"
"""


def test_with_a_token_the_account_is_asked(tmp_path: Path, cluster: LocalCluster) -> None:
    (tmp_path / "images.toml").write_text(CATALOG)
    answer = command(tmp_path, cluster)("check", "--json", expect=1)
    found = {problem["entry"]: problem for problem in answer.json}
    assert set(found) == {"elsewhere", "constants", "variables"}
    assert (found["elsewhere"]["code"], found["elsewhere"]["line"]) == ("profile", 7)
    assert found["elsewhere"]["nearest"] == "jupyterlab"
    assert (found["constants"]["code"], found["constants"]["nearest"]) == ("constant", "DOCKER_WORKDIR")
    assert found["variables"]["warning"]
    assert found["variables"]["line"] == 18
    assert [name for name, problem in found.items() if not problem["warning"]] == ["elsewhere", "constants"]


def test_a_warning_is_said_and_is_no_failure(tmp_path: Path, cluster: LocalCluster) -> None:
    (tmp_path / "images.toml").write_text("schema = 1\n" + CATALOG[CATALOG.index("[images.variables]") :])
    answer = command(tmp_path, cluster)("check")
    assert answer.out.startswith("warning: images.toml:6: [images.variables] constants.OMP_NUM_THREADS")
    assert answer.err.strip().endswith("1 warning")


def test_an_account_that_cannot_be_asked_is_said_after_all_else(tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text("schema = 1\n[images.a]\ntitel = 'x'\n")
    nobody = command(tmp_path, QARNOT_CLUSTER_URL="http://127.0.0.1:9", QARNOT_CLIENT_TOKEN="a-token-of-the-test")
    answer = nobody("check", expect=3)
    assert "titel" in answer.out
    assert "does not answer" in answer.err
