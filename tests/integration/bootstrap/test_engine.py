"""An entry with `start = "bundled"`: the script travels with the inputs and is what the task runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from qarnot.connection import Connection
from support.command import REPOSITORY, CommandLine

from qarnot_local import LocalCluster
from run_qarnot.bootstrap import FILES, attach, reason
from run_qarnot.catalog.image import Image
from run_qarnot.model.files import Upload
from run_qarnot.model.keys import derive_base_url
from run_qarnot.model.plan import TaskPlan, make_plan
from run_qarnot.model.spec import SessionSpec

pytestmark = pytest.mark.slow

CATALOG = """
schema = 1

[images.public]
title = "Public Jupyter"
profile = "docker-network-ssh"
repo = "team/lab"
start = "bundled"
"""


def plan(**entry: object) -> TaskPlan:
    image = Image(id="public", title="Public", repo="jupyter/scipy-notebook", start="bundled", **entry)
    spec = SessionSpec(image=image, name="calm-heron-42", hours=4)
    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    return make_plan(spec, launch_id="rq-1", token="token-of-the-test", profiles=["p"], version="1", now=now)


def test_the_task_runs_the_script_and_tells_it_what_to_start() -> None:
    constants = plan(idle_minutes=30).constants
    assert constants["DOCKER_CMD"] == "sh /job/.run-qarnot/start.sh"
    ours = {name: value for name, value in constants.items() if name.startswith("RUN_QARNOT_")}
    assert ours == {
        "RUN_QARNOT_START": "bundled",
        "RUN_QARNOT_APP": "jupyterlab",
        "RUN_QARNOT_PORT": "8888",
        "RUN_QARNOT_OPEN_PATH": "/lab",
        "RUN_QARNOT_PROBE_PATH": "/api",
        "RUN_QARNOT_TOKEN_ENV": "JUPYTER_TOKEN",
        "RUN_QARNOT_IDLE_MINUTES": "30",
        "RUN_QARNOT_BASE_URL": derive_base_url("token-of-the-test", "rq-1"),
    }
    assert len(constants["JUPYTER_TOKEN"]) == 48


def test_the_command_of_the_image_is_what_the_script_runs() -> None:
    constants = plan(app="web", command="voila --port 8080", port=8080).constants
    assert constants["DOCKER_CMD"] == "sh /job/.run-qarnot/start.sh"
    assert constants["RUN_QARNOT_COMMAND"] == "voila --port 8080"


def test_an_image_that_starts_by_itself_and_takes_no_base_url_is_left_alone() -> None:
    image = Image(id="own", repo="me/own", command="run", proxy="none")
    spec = SessionSpec(image=image, name="calm-heron-42", hours=4)
    constants = make_plan(
        spec, launch_id="rq-1", token="t", profiles=["p"], version="1", now=datetime.now(UTC)
    ).constants
    assert constants["DOCKER_CMD"] == "run"
    assert not any(name.startswith("RUN_QARNOT_") for name in constants)


def test_the_script_of_an_earlier_session_gives_way(tmp_path: Path) -> None:
    keys = ("data", ".run-qarnot/start.sh", ".run-qarnot/removed.json")
    mine = [Upload(tmp_path / Path(key).name, key) for key in keys]
    attached = {upload.key: upload.path for upload in attach(mine, {"RUN_QARNOT_START": "bundled"})}
    assert attached == {"data": tmp_path / "data", **FILES}


def test_our_programs_travel_with_a_jupyter_server_that_the_image_starts(tmp_path: Path) -> None:
    attached = {upload.key: upload.path for upload in attach([], {"RUN_QARNOT_BASE_URL": "/rq-0123456789ab/"})}
    starts = attached[".run-qarnot/jupyter/jupyter_server_config.py"]
    assert attached[".run-qarnot/jupyter/jupyter_notebook_config.py"] == starts
    assert attached[".run-qarnot/idle.py"].name == "idle.py"
    assert attached[".run-qarnot/removed.py"].name == "removed.py"
    assert ".run-qarnot/start.sh" not in attached


def test_the_configuration_of_jupyter_travels_and_has_the_base_url_and_nothing_else(tmp_path: Path) -> None:
    old = ".run-qarnot/jupyter/jupyter_server_config.json"
    mine = [Upload(tmp_path / "data", "data"), Upload(tmp_path / "old", old)]
    for base in ("/rq-0123456789ab/", "/rq-ba9876543210/"):
        attached = {upload.key: upload.path for upload in attach(mine, {"RUN_QARNOT_BASE_URL": base})}
        assert attached.pop("data") == tmp_path / "data"
        assert {key: json.loads(path.read_text()) for key, path in attached.items() if key.endswith(".json")} == {
            ".run-qarnot/jupyter/jupyter_server_config.json": {"ServerApp": {"base_url": base}},
            ".run-qarnot/jupyter/jupyter_notebook_config.json": {"NotebookApp": {"base_url": base}},
        }
    assert [upload.key for upload in attach(mine, {})] == ["data"]


@pytest.mark.parametrize("prefix", ["", "0> ", "12> "])
def test_the_reason_is_the_last_that_it_gave(prefix: str) -> None:
    line = f"{prefix}Run Qarnot cannot go on: "
    assert reason(f"x\n{line}one.\n{line}two.\ny\n") == "two."
    assert reason("0> anything else\n") is None


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster() as cluster:
        yield cluster


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> CommandLine:
    (tmp_path / "images.toml").write_text(CATALOG)
    return CommandLine.of_account(cluster, tmp_path, RUN_QARNOT_IMAGES=str(tmp_path / "images.toml"))


def test_a_start_that_broke_off_is_repeated_with_the_files_of_a_newer_version(
    cluster: LocalCluster, cli: CommandLine
) -> None:
    key = ".run-qarnot/jupyter/jupyter_server_config.json"
    bucket = connection(cluster).create_bucket("again-in")
    bucket.add_string("that of an older version of ours", key)
    shipped = cli.with_environment(RUN_QARNOT_IMAGES=str(REPOSITORY / "images.toml"))
    shipped("launch", "base", "--name", "again", "--detach")
    assert "base_url" in json.loads(stored(cluster, "again-in")[key])["ServerApp"]


def test_the_local_cluster_has_no_containers_so_nothing_is_started_there(
    cluster: LocalCluster, cli: CommandLine, tmp_path: Path
) -> None:
    launched = cli("launch", "public", "--name", "refused", expect=1)
    assert "cannot be tried on this computer" in launched.err
    assert "refused" not in [session["name"] for session in json.loads(cli("sessions", "--json").out)]
    assert not (tmp_path / ".ssh").exists()
    assert "refused-in" not in [bucket.uuid for bucket in connection(cluster).buckets()]


def connection(cluster: LocalCluster) -> Connection:
    return Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False)


def stored(cluster: LocalCluster, bucket: str) -> dict[str, bytes]:
    files = connection(cluster).retrieve_bucket(bucket)
    return {file.key: file.get()["Body"].read() for file in files.list_files()}
